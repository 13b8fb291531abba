#include <algorithm>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/convolution/versioned_cache.hpp"
#include "layers/convolution/winograd/winograd.hpp"

namespace doppio {

namespace {

/// With bfloat16 factors, the transforms are accurate enough for 3 x 3 kernels only.
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
    float* scratch = ctx.workspace(convolution_.forward_scratch());
    const float* from = x.read(ctx, Layout::nchw_blocked);
    const float* offsets = bias ? bias->read(ctx) : nullptr;
    float* to = y.write(ctx, Layout::nchw_blocked);
    if (!caches_)
      return convolution_.forward(from, weight.read(ctx), offsets, rectified_ != nullptr, to,
                                  scratch);
    const float* transformed =
        cache_.of(ctx, weight, cached_weights(),
                  [&](const float* plain, float* copy) { convolution_.transform(plain, copy); });
    convolution_.forward_with(transformed, from, offsets, rectified_ != nullptr, to, scratch);
  }

  void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) override {
    convolution_.backward_data(dy.read(ctx, Layout::nchw_blocked), rectified(ctx), weight.read(ctx),
                               dx.write(ctx, Layout::nchw_blocked),
                               ctx.workspace(convolution_.backward_data_scratch()));
  }

  void backward_params(Context& ctx, const Tensor& x, const Tensor& dy, Tensor* dweight,
                       Tensor* dbias) override {
    convolution_.backward_params(
        x.read(ctx, Layout::nchw_blocked), dy.read(ctx, Layout::nchw_blocked), rectified(ctx),
        dweight ? dweight->update(ctx) : nullptr, dbias ? dbias->update(ctx) : nullptr,
        ctx.workspace(convolution_.backward_params_scratch()));
  }

  Index workspace() const override {
    return std::max({convolution_.forward_scratch(), convolution_.backward_data_scratch(),
                     convolution_.backward_params_scratch()});
  }

  std::size_t fuse(Followers followers, const Tensor& y, bool) override {
    const bool relu = begins_with_relu(followers);
    rectified_ = relu ? &y : nullptr;
    return relu ? 1 : 0;
  }

  bool cache_weights() override { return caches_ = true; }
  Index cached_weights() const override { return caches_ ? convolution_.transformed_size() : 0; }

 private:
  const float* rectified(Context& ctx) const {
    return rectified_ ? rectified_->read(ctx, Layout::nchw_blocked) : nullptr;
  }

  WinogradConvolution convolution_;
  const Tensor* rectified_ = nullptr;
  bool caches_ = false;
  VersionedCache cache_;  // transformed weights
};

}  // namespace

std::string why_not_winograd_convolution(const ConvolutionGeometry& geometry) {
  if (cpu_isa() == Isa::baseline) return "it needs AVX2";
  return why_not_winograd(geometry, kernels(geometry));
}

std::string why_slower_winograd_convolution(const ConvolutionGeometry& geometry) {
  return why_slower_winograd(geometry, kernels(geometry));
}

std::unique_ptr<ConvolutionEngine> make_winograd_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<WinogradEngine>(geometry);
}

}  // namespace doppio
