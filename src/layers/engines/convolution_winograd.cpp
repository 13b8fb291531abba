#include <algorithm>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "layers/engines/convolution.hpp"
#include "layers/engines/winograd.hpp"

namespace doppio {

namespace {

/// With factors of bfloat16 there are exact enough transforms for 3 x 3 kernels alone.
const WinogradKernels& kernels(const ConvolutionGeometry& g) {
  if (cpu_isa() != Isa::avx512) return kWinogradAvx2;
  const bool bf16 = g.precision == Precision::bfloat16 && g.windows.axis[0].kernel == 3;
  return bf16 ? kWinogradBf16Avx512 : kWinogradAvx512;
}

class WinogradEngine final : public ConvolutionEngine {
 public:
  explicit WinogradEngine(const ConvolutionGeometry& g) : convolution_(g, kernels(g)) {}

  void forward(Context& ctx, const Tensor& x, const Tensor& weight, const Tensor* bias,
               Tensor& y) override {
    convolution_.forward(x.read(ctx, Layout::blocked), weight.read(ctx),
                         bias ? bias->read(ctx) : nullptr, rectified_ != nullptr,
                         y.write(ctx, Layout::blocked),
                         ctx.workspace(convolution_.forward_scratch()));
  }

  void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) override {
    convolution_.backward_data(dy.read(ctx, Layout::blocked), rectified(ctx), weight.read(ctx),
                               dx.write(ctx, Layout::blocked),
                               ctx.workspace(convolution_.backward_data_scratch()));
  }

  void backward_params(Context& ctx, const Tensor& x, const Tensor& dy, Tensor* dweight,
                       Tensor* dbias) override {
    convolution_.backward_params(x.read(ctx, Layout::blocked), dy.read(ctx, Layout::blocked),
                                 rectified(ctx), dweight ? dweight->update(ctx) : nullptr,
                                 dbias ? dbias->update(ctx) : nullptr,
                                 ctx.workspace(convolution_.backward_params_scratch()));
  }

  Index workspace() const override {
    return std::max({convolution_.forward_scratch(), convolution_.backward_data_scratch(),
                     convolution_.backward_params_scratch()});
  }

  bool fuse_relu(const Tensor& y, bool) override {
    rectified_ = &y;
    return true;
  }

 private:
  const float* rectified(Context& ctx) const {
    return rectified_ ? rectified_->read(ctx, Layout::blocked) : nullptr;
  }

  WinogradConvolution convolution_;
  const Tensor* rectified_ = nullptr;
};

}  // namespace

std::string why_not_winograd_convolution(const ConvolutionGeometry& geometry) {
  if (cpu_isa() == Isa::baseline) return "it needs AVX2";
  return why_not_winograd(geometry, kernels(geometry));
}

std::string why_rather_not_winograd_convolution(const ConvolutionGeometry& geometry) {
  return why_rather_not_winograd(geometry, kernels(geometry));
}

std::unique_ptr<ConvolutionEngine> make_winograd_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<WinogradEngine>(geometry);
}

}  // namespace doppio
