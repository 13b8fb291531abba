#pragma once
#include <memory>
#include <span>
#include <string>

#include "core/host_device.hpp"
#include "doppio/extend/layer.hpp"
#include "layers/convolution/convolution_geometry.hpp"
#include "layers/support/engine_list.hpp"

namespace doppio {

/// An implementation of convolution for a given geometry. Pointers are null for a bias that the
/// geometry lacks and for gradients that are not needed.
class ConvolutionEngine {
 public:
  virtual ~ConvolutionEngine() = default;
  /// y = weight * x + bias.
  virtual void forward(Context& ctx, const Tensor& x, const Tensor& weight, const Tensor* bias,
                       Tensor& y) = 0;
  /// Called before the other two backward passes. Applies a fused ReLU to dy in place, as Caffe's
  /// ReLU does, unless they do so themselves. Returns true if it has also added to the gradient of
  /// the bias (null: not needed).
  virtual bool begin_backward(Context& /*ctx*/, Tensor& /*dy*/, Tensor* /*dbias*/) { return false; }
  /// Overwrites dx with the gradient of x.
  virtual void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) = 0;
  /// Adds to the gradients of weight and bias.
  virtual void backward_params(Context& ctx, const Tensor& x, const Tensor& dy, Tensor* dweight,
                               Tensor* dbias) = 0;
  /// Returns the floats of Context::workspace() that the passes need, for `doppio plan`; 0 if few.
  virtual Index workspace() const { return 0; }
  /// As Layer::fuse(): an addend, a ReLU or both. With a ReLU, forward() writes max(0, y) and, if
  /// `backward` is to be run, the backward passes take dy as 0 where `y`, the output of forward(),
  /// is not positive.
  virtual std::size_t fuse(Followers /*followers*/, const Tensor& /*y*/, bool /*backward*/) {
    return 0;
  }
  /// Makes forward() cache its transformed weights until their version() changes. Returns false if
  /// it does not transform them, or at negligible cost.
  virtual bool cache_weights() { return false; }
  /// Returns the number of cached floats, for `doppio plan`.
  virtual Index cached_weights() const { return 0; }
};

/// For engines that fuse only a ReLU.
inline bool begins_with_relu(Followers followers) {
  return !followers.empty() && followers[0].relu;
}

using ConvolutionEngineEntry = EngineEntry<ConvolutionEngine, ConvolutionGeometry>;

/// Winograd's algorithm on copies padded to whole blocks of channels; CPU only.
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

/// oneDNN's direct convolutions in the layouts that it prefers; CPU only.
std::string why_not_onednn_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_onednn_convolution(const ConvolutionGeometry& geometry);

inline namespace DOPPIO_BUILD {

/// Returns the engines of this device, fastest first. The last one, "gemm", supports every geometry
/// and is the reference.
std::span<const ConvolutionEngineEntry> convolution_engines();

/// Creates the engine for `geometry` as make_engine() does, or the one named `forced` unless that
/// is empty. Throws: Error if `forced` cannot compute it or does not run on this device.
std::unique_ptr<ConvolutionEngine> make_convolution_engine(const std::string& layer,
                                                           const ConvolutionGeometry& geometry,
                                                           const std::string& forced = {});

/// im2col of several images and one matrix product for all of them; GPU only (src/cuda). Processes
/// as many images at a time as need `floats` of workspace; the default fills any GPU.
std::string why_not_batched_gemm_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_batched_gemm_convolution(
    const ConvolutionGeometry& geometry, Index floats = Index{64} << 20);

/// cuDNN's convolutions, in NHWC and in bfloat16 if factors may be rounded; GPU only, in builds
/// with cuDNN (src/cuda).
std::string why_not_cudnn_convolution(const ConvolutionGeometry& geometry);
std::unique_ptr<ConvolutionEngine> make_cudnn_convolution(const ConvolutionGeometry& geometry);

/// im2col and one matrix product per image and group. Source: matches Caffe.
std::unique_ptr<ConvolutionEngine> make_gemm_convolution(const ConvolutionGeometry& geometry);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
