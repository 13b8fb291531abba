#include <glog/logging.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <type_traits>

#include "cuda/engines/convolution_choice.hpp"
#include "cuda/kernels/convolution_kernels.hpp"
#include "cuda/runtime/device.hpp"
#include "layers/convolution/engine.hpp"
#include "math/accumulate.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

using cuda::ConvolutionAlgorithm;
using cuda::ConvolutionPass;
using cuda::cudnn;
using cuda::CudnnPass;

/// When a GPU first runs a geometry, measures cuDNN's deterministic algorithms and the gemm engine.
/// Maps are of T in NHWC, always so for bfloat16, or of floats in NCHW.
template <class T>
class CudnnConvolution final : public ConvolutionEngine {
 public:
  explicit CudnnConvolution(const ConvolutionGeometry& g)
      : g_(g),
        layout_(cuda::layouts_for(g.precision).front()),
        outs_(g.windows.out_count()),
        positions_(g.batch * outs_) {}

  void forward(Context& ctx, const Tensor& x, const Tensor& weight, const Tensor* bias,
               Tensor& y) override {
    choose(ctx, forward_);
    run_forward(ctx, x, weight, bias, y);
  }

  bool begin_backward(Context& ctx, Tensor& dy_tensor, Tensor* dbias) override {
    if (!masks_) return false;
    const T* y = relu_->read<T>(ctx, layout_);
    T* dy = dy_tensor.update<T>(ctx, layout_);
    if (dbias)
      sum_bias_gradient(ctx, {dy, y, dy}, add_to(*dbias, ctx));
    else
      mask_gradient(ctx, positions_ * g_.num_output, y, dy);
    return dbias != nullptr;
  }

  void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) override {
    choose(ctx, data_);
    run_data(ctx, dy, weight, dx);
  }

  void backward_params(Context& ctx, const Tensor& x, const Tensor& dy_tensor, Tensor* dweight,
                       Tensor* dbias) override {
    if (dbias)
      sum_bias_gradient(ctx, {dy_tensor.read<T>(ctx, layout_), nullptr, nullptr},
                        add_to(*dbias, ctx));
    if (!dweight) return;
    choose(ctx, params_);
    run_params(ctx, x, dy_tensor, *dweight);
  }

  std::size_t fuse(Followers followers, const Tensor& y, bool backward) override {
    addend_ = followers.empty() ? nullptr : followers[0].addend;
    const std::size_t taken = addend_ ? 1 : 0;
    const bool relu = begins_with_relu(followers.subspan(taken));
    if (relu != (relu_ != nullptr)) forward_.forget();  // another call, to be measured separately
    relu_ = relu ? &y : nullptr;
    masks_ = relu && backward;
    return taken + (relu ? 1 : 0);
  }

 private:
  static constexpr bool kRounds = std::is_same_v<T, Bf16>;

  static Index floats(std::size_t bytes) { return static_cast<Index>((bytes + 255) / 256 * 64); }
  static cudnnHandle_t dnn(Context& ctx) { return cuda::dnn(*ctx.accelerator()); }

  /// Returns a pass's workspace, with `more` floats after it.
  static CudnnPass::Workspace memory_for(Context& ctx, const cuda::PassChoice& pass,
                                         Index more = 0) {
    return {ctx.workspace(floats(pass.workspace()) + more), pass.workspace()};
  }
  /// Returns the address of those floats.
  static void* end_of(const CudnnPass::Workspace& memory) {
    return static_cast<float*>(memory.memory) + floats(memory.bytes);
  }

  void run_forward(Context& ctx, const Tensor& x_tensor, const Tensor& weight_tensor,
                   const Tensor* bias_tensor, Tensor& y_tensor) {
    if (forward_.by_gemm()) {
      fallback().forward(ctx, x_tensor, weight_tensor, bias_tensor, y_tensor);
      return finish(ctx, nullptr, y_tensor);
    }
    const Layout layout = forward_.algorithm().layout;
    const CudnnPass::Operands operands{x_tensor.read<T>(ctx, layout),
                                       weight_tensor.read<T>(ctx, layout),
                                       y_tensor.write<T>(ctx, layout)};
    const float* bias = bias_tensor ? bias_tensor->read(ctx) : nullptr;
    if (relu_ && bias && run_fused_forward(ctx, operands, bias)) return;
    forward_.call().run(dnn(ctx), forward_.algorithm().number, operands, memory_for(ctx, forward_));
    finish(ctx, bias, y_tensor);
  }

  void run_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) {
    if (data_.by_gemm()) return fallback().backward_data(ctx, dy, weight, dx);
    const Layout layout = data_.algorithm().layout;
    data_.call().run(
        dnn(ctx), data_.algorithm().number,
        {dx.write<T>(ctx, layout), weight.read<T>(ctx, layout), dy.read<T>(ctx, layout)},
        memory_for(ctx, data_));
  }

  void run_params(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor, Tensor& dweight) {
    if (params_.by_gemm())
      return fallback().backward_params(ctx, x_tensor, dy_tensor, &dweight, nullptr);
    const Layout layout = params_.algorithm().layout;
    const T *x = x_tensor.read<T>(ctx, layout), *dy = dy_tensor.read<T>(ctx, layout);
    // NCHW gradients accumulate in place; others are first written after the workspace.
    const AddTo total = add_to(dweight, ctx);
    const bool in_place = layout == Layout::nchw;
    const CudnnPass::Workspace memory = memory_for(ctx, params_, in_place ? 0 : weights());
    void* result = in_place ? total.values : end_of(memory);
    params_.call().run(dnn(ctx), params_.algorithm().number, {x, result, dy}, memory,
                       in_place ? total.beta : 0);
    if (!in_place)
      add_weight_gradient(ctx, g_.num_output, g_.channels / g_.group, g_.windows.kernel_count(),
                          static_cast<const T*>(result), total);
  }

  Index weights() const {
    return g_.num_output * (g_.channels / g_.group) * g_.windows.kernel_count();
  }

  /// Adds bias and addend, if not null, to y, and applies the fused ReLU, if any.
  void finish(Context& ctx, const float* bias, Tensor& y_tensor) {
    if (!bias && !addend_ && !relu_) return;
    const Layout layout = forward_.algorithm().layout;
    if (layout == Layout::nchw) {  // floats, possibly from the gemm engine
      const float* addend = addend_ ? addend_->read(ctx) : nullptr;
      return add_nchw(ctx, g_.batch, g_.num_output, outs_, bias, addend, relu_ != nullptr,
                      y_tensor.update(ctx));
    }
    const T* addend = addend_ ? addend_->read<T>(ctx, layout) : nullptr;
    add_nhwc(ctx, positions_, g_.num_output, bias, addend, relu_ != nullptr,
             y_tensor.update<T>(ctx, layout));
  }

  /// Runs forward with bias, addend and ReLU in one call. Returns false if unsupported.
  bool run_fused_forward(Context& ctx, const CudnnPass::Operands& operands, const float* bias) {
    const ConvolutionAlgorithm& algorithm = forward_.algorithm();
    if (cannot_fuse_ == algorithm) return false;
    const CudnnPass::Workspace memory = memory_for(ctx, forward_, g_.num_output);
    const void* rounded = bias;
    if constexpr (kRounds) {
      auto* to = static_cast<Bf16*>(end_of(memory));
      round_to_bf16(ctx, g_.num_output, bias, to);
      rounded = to;
    }
    const cudnnStatus_t status =
        forward_.call().run_with_relu(dnn(ctx), algorithm.number, operands, memory, rounded,
                                      addend_ ? addend_->read<T>(ctx, algorithm.layout) : nullptr);
    if (status == CUDNN_STATUS_SUCCESS) return true;
    VLOG(1) << "cuDNN does not fuse bias and ReLU with " << forward_.describe(algorithm) << " of "
            << g_.text() << ": " << cudnn().GetErrorString(status);
    cannot_fuse_ = algorithm;
    return false;
  }

  /// Adds the sums of dy to dbias.
  void sum_bias_gradient(Context& ctx, const Masked<T>& dy, const AddTo& dbias) {
    const Index outputs = g_.num_output;
    const bool by_image = layout_ == Layout::nchw;
    const Index pieces = by_image ? g_.batch : pieces_of(positions_);
    float* sums = ctx.workspace((pieces + 1) * outputs);
    if (!by_image)
      sum_rows(ctx, positions_, outputs, dy, sums);
    else if constexpr (!kRounds)
      sum_maps(ctx, g_.batch, outputs, outs_, dy, sums);
    add_sums(ctx, pieces, outputs, sums, dbias);
  }

  void choose(Context& ctx, cuda::PassChoice& pass) {
    const bool fused = &pass == &forward_ && relu_ && g_.bias;
    pass.choose(ctx, fused, [&](cuda::ConvolutionTrial& trial) { run(trial, pass); });
  }

  /// Runs the pass as in a net whose other layers use the engine's layout.
  void run(cuda::ConvolutionTrial& t, const cuda::PassChoice& pass) {
    t.x.write<T>(t.ctx, layout_);
    t.y.write<T>(t.ctx, layout_);
    if (&pass == &params_) return run_params(t.ctx, t.x, t.y, t.weight);
    if (&pass == &data_) {
      run_data(t.ctx, t.y, t.weight, t.x);
      t.x.read<T>(t.ctx, layout_);
    } else {
      run_forward(t.ctx, t.x, t.weight, g_.bias ? &t.bias : nullptr, t.y);
      t.y.read<T>(t.ctx, layout_);
    }
  }

  /// Engine for passes that it computes faster, or that cuDNN does not support. Fuses nothing.
  ConvolutionEngine& fallback() {
    if (!fallback_)
      fallback_ = why_not_batched_gemm_convolution(g_).empty() ? make_batched_gemm_convolution(g_)
                                                               : make_gemm_convolution(g_);
    return *fallback_;
  }

  const ConvolutionGeometry g_;
  const Layout layout_;
  const Index outs_, positions_;
  cuda::PassChoice forward_{ConvolutionPass::forward, g_}, data_{ConvolutionPass::data, g_},
      params_{ConvolutionPass::params, g_};
  std::unique_ptr<ConvolutionEngine> fallback_;
  const Tensor* relu_ = nullptr;  // output of the fused ReLU
  const Tensor* addend_ = nullptr;
  bool masks_ = false;
  ConvolutionAlgorithm cannot_fuse_;  // fails to fuse bias and ReLU
};

}  // namespace

std::string why_not_cudnn_convolution(const ConvolutionGeometry& g) {
  if (g.windows.axes != 2) return "it supports only two spatial axes";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.overhangs()) return "a window reaches beyond the padded map";
  if (g.precision != Precision::float32 && !g.four_axes) return "channels are not the second axis";
  const Index x = g.batch * g.channels * g.windows.in_count();
  const Index y = g.batch * g.num_output * g.windows.out_count();
  if (x == 0) return "the bottom is empty";
  if (std::max({x, y, g.weight_shape().count()}) > std::numeric_limits<int>::max())
    return "its indices end at 2^31";
  return cudnn().why_not;
}

std::unique_ptr<ConvolutionEngine> make_cudnn_convolution(const ConvolutionGeometry& geometry) {
  if (cuda::element_of(geometry.precision) == Element::bf16)
    return std::make_unique<CudnnConvolution<Bf16>>(geometry);
  return std::make_unique<CudnnConvolution<float>>(geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
