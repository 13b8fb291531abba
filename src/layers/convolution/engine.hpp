#pragma once
#include <memory>
#include <span>
#include <string>

#include "core/host_device.hpp"
#include "doppio/extend/layer.hpp"
#include "layers/convolution/convolution_geometry.hpp"
#include "layers/support/engine_list.hpp"

namespace doppio {

/// One way to compute a convolution of a given geometry. Null pointers stand for what the geometry
/// lacks (bias) or nobody wants (gradients).
class ConvolutionEngine {
 public:
  virtual ~ConvolutionEngine() = default;
  /// y = weight * x + bias.
  virtual void forward(Context& ctx, const Tensor& x, const Tensor& weight, const Tensor* bias,
                       Tensor& y) = 0;
  /// Comes before the other two backward passes and applies a fused ReLU to dy, as Caffe's does in
  /// place, unless they do so themselves. True if it has added to the gradient of the bias (null:
  /// nobody wants it) on the way.
  virtual bool begin_backward(Context& /*ctx*/, Tensor& /*dy*/, Tensor* /*dbias*/) { return false; }
  /// Overwrites dx with the gradient of x.
  virtual void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) = 0;
  /// Adds to the gradients of weight and bias.
  virtual void backward_params(Context& ctx, const Tensor& x, const Tensor& dy, Tensor* dweight,
                               Tensor* dbias) = 0;
  /// Floats of Context::workspace() that the passes need, for `doppio plan`; 0 if it is little.
  virtual Index workspace() const { return 0; }
  /// As Layer::fuse(): an addend, a ReLU or both. With a ReLU forward() writes max(0, y) and, if
  /// `backward` is to be run, the backward passes count dy only where `y`, the tensor that
  /// forward() wrote, is positive.
  virtual std::size_t fuse(Followers /*followers*/, const Tensor& /*y*/, bool /*backward*/) {
    return 0;
  }
  /// From now on forward() keeps what it makes of the weights until their version() changes. False:
  /// it makes nothing of them, or so little that it does not matter.
  virtual bool cache_weights() { return false; }
  /// Floats that it keeps since, for `doppio plan`.
  virtual Index cached_weights() const { return 0; }
};

/// For engines that fuse a ReLU and nothing else.
inline bool begins_with_relu(Followers followers) {
  return !followers.empty() && followers[0].relu;
}

using ConvolutionEngineEntry = EngineEntry<ConvolutionEngine, ConvolutionGeometry>;

/// The same for channels that do not fill whole blocks, on copies that do.
std::string why_not_padded_convolution(const ConvolutionGeometry& geometry);
std::string why_slower_padded_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_padded_convolution(const ConvolutionGeometry& geometry);

/// Our own direct convolution of NCHW maps of few channels, such as images; CPU only.
std::string why_not_image_convolution(const ConvolutionGeometry& geometry);
std::string why_slower_image_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_image_convolution(const ConvolutionGeometry& geometry);

/// Winograd's algorithm for 3x3 and 5x5 kernels of stride 1, on blocked tensors; CPU only.
std::string why_not_winograd_convolution(const ConvolutionGeometry& geometry);
std::string why_slower_winograd_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_winograd_convolution(const ConvolutionGeometry& geometry);

/// oneDNN's direct convolutions in the layout that it likes best; CPU only.
std::string why_not_onednn_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_onednn_convolution(const ConvolutionGeometry& geometry);

inline namespace DOPPIO_BUILD {

/// The engines of this device, fastest first; the last one, "gemm", can do everything and defines
/// the result.
std::span<const ConvolutionEngineEntry> convolution_engines();

/// Makes the first engine that can compute `geometry`, or the one called `forced` unless that is
/// empty. Logs the choice and the refusals at verbosity 1. Throws: Error if `forced` cannot, or
/// does not run on this device.
std::unique_ptr<ConvolutionEngine> make_convolution_engine(const std::string& layer,
                                                           const ConvolutionGeometry& geometry,
                                                           const std::string& forced = {});

/// im2col of several images and one matrix product for all of them; GPU only (src/cuda). As many
/// images at a time as need `floats` of the workspace: enough to fill any GPU.
std::string why_not_batched_gemm_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_batched_gemm_convolution(
    const ConvolutionGeometry& geometry, Index floats = Index{64} << 20);

/// cuDNN's convolutions, in NHWC and of bfloat16 where factors may be rounded; GPU only, in
/// builds with cuDNN (src/cuda).
std::string why_not_cudnn_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_cudnn_convolution(const ConvolutionGeometry& geometry);

/// im2col and one matrix product per image and group. Source: matches Caffe.
std::unique_ptr<ConvolutionEngine> make_gemm_convolution(const ConvolutionGeometry& geometry);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
