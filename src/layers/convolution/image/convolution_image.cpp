#include <algorithm>
#include <memory>

#include "core/cpu.hpp"
#include "core/threads.hpp"
#include "doppio/error.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/convolution/image/convolution_image_rows.hpp"
#include "layers/convolution/versioned_cache.hpp"

namespace doppio {

namespace {

/// Ranges of images whose gradients are summed separately: a constant, so that the result does not
/// depend on the number of threads.
constexpr Index kParts = 32;

using Rows = ImageConvolutionRows;

/// Returns the convolution that computes the bottom's gradient from the top's.
ConvolutionGeometry adjoint(const ConvolutionGeometry& g) {
  ConvolutionGeometry back = g;
  std::swap(back.channels, back.num_output);
  for (Index i = 0; i < 2; ++i) {
    WindowAxis& a = back.windows.axis[i];
    std::swap(a.in, a.out);
    a.pad = a.span() - 1 - a.pad;
  }
  return back;
}

/// Returns whether Rows supports that convolution.
bool has_adjoint(const ConvolutionGeometry& g) {
  for (Index i = 0; i < 2; ++i) {
    const WindowAxis& a = g.windows.axis[i];
    if (a.stride != 1 || a.pad >= a.span()) return false;
  }
  return true;
}

/// Convolves NCHW maps that cannot be blocked, such as images, directly. The top is blocked if it
/// can be.
class ImageConvolution final : public ConvolutionEngine {
 public:
  explicit ImageConvolution(const ConvolutionGeometry& g)
      : g_(g),
        layout_(g.num_output % channel_block() == 0 ? Layout::nchw_blocked : Layout::nchw),
        rows_(g, layout_) {
    if (has_adjoint(g)) back_ = std::make_unique<Rows>(adjoint(g), Layout::nchw);
  }

  void forward(Context& ctx, const Tensor& x_tensor, const Tensor& weight_tensor,
               const Tensor* bias_tensor, Tensor& y) override {
    const Index biases = rows_.padded_outputs(), weights = caches_ ? 0 : rows_.weight_count();
    float* bias = ctx.workspace(biases + weights + rows_.padded_count());
    std::fill_n(bias, biases, 0.0f);
    if (bias_tensor) std::copy_n(bias_tensor->read(ctx), g_.num_output, bias);
    const auto pack = [&](const float* from, float* to) {
      std::fill_n(to, rows_.weight_count(), 0.0f);
      for_each_weight([&](Index at, Index o, Index k) { to[rows_.packed(o, k)] = from[at]; });
    };
    const float* weight = bias + biases;
    if (caches_)
      weight = cache_.of(ctx, weight_tensor, rows_.weight_count(), pack);
    else
      pack(weight_tensor.read(ctx), bias + biases);
    rows_.forward(rows_.padded(x_tensor.read(ctx), bias + biases + weights), weight,
                  bias_tensor ? bias : nullptr, rectified_ != nullptr, y.write(ctx, layout_));
  }

  void backward_data(Context& ctx, const Tensor& dy_tensor, const Tensor& weight_tensor,
                     Tensor& dx) override {
    const Tensor& dy = rectified_ ? where_positive(ctx, dy_tensor) : dy_tensor;
    if (!back_) return make_gemm_convolution(g_)->backward_data(ctx, dy, weight_tensor, dx);
    float* weight = ctx.workspace(back_->weight_count() + back_->padded_count());
    std::fill_n(weight, back_->weight_count(), 0.0f);
    const float* from = weight_tensor.read(ctx);
    const Index kernel = g_.windows.kernel_count();
    for_each_weight([&](Index at, Index o, Index k) {
      const Index channel = k / kernel, tap = kernel - 1 - k % kernel;
      weight[back_->packed(channel, o * kernel + tap)] = from[at];
    });
    back_->forward(back_->padded(dy.read(ctx), weight + back_->weight_count()), weight, nullptr,
                   false, dx.write(ctx));
  }

  void backward_params(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor,
                       Tensor* dweight_tensor, Tensor* dbias_tensor) override {
    const Index part = rows_.weight_count() + rows_.padded_outputs();
    const Index parts = std::min(kParts, g_.batch);
    float* sums = ctx.workspace(parts * part + rows_.padded_count());
    const float* x = rows_.padded(x_tensor.read(ctx), sums + parts * part);
    const float* dy = dy_tensor.read(ctx, layout_);
    const float* y = rectified_ ? rectified_->read(ctx, layout_) : nullptr;
    const Index image = elements_for_products(rows_.weight_count() * g_.windows.out_count());
#pragma omp parallel for schedule(static) if (worth_threads(parts, image))
    for (Index p = 0; p < parts; ++p) {
      std::fill_n(sums + p * part, part, 0.0f);
      rows_.weights(x, dy, y, p * g_.batch / parts, (p + 1) * g_.batch / parts, sums + p * part);
    }
#pragma omp parallel for schedule(static) if (worth_threads(part, parts))
    for (Index i = 0; i < part; ++i)
      for (Index p = 1; p < parts; ++p) sums[i] += sums[p * part + i];
    if (dweight_tensor) {
      float* dweight = dweight_tensor->update(ctx);
      for_each_weight([&](Index at, Index o, Index k) { dweight[at] += sums[rows_.packed(o, k)]; });
    }
    if (dbias_tensor) {
      float* dbias = dbias_tensor->update(ctx);
      for (Index o = 0; o < g_.num_output; ++o) dbias[o] += sums[rows_.weight_count() + o];
    }
  }

  std::size_t fuse(Followers followers, const Tensor& y, bool) override {
    const bool relu = begins_with_relu(followers);
    rectified_ = relu ? &y : nullptr;
    return relu ? 1 : 0;
  }

  bool cache_weights() override { return caches_ = true; }
  Index cached_weights() const override { return caches_ ? rows_.weight_count() : 0; }

 private:
  /// Calls f(index in our tensor, output, tap) for each weight.
  template <class F>
  void for_each_weight(F f) const {
    for (Index o = 0; o < g_.num_output; ++o)
      for (Index k = 0; k < rows_.taps(); ++k) f(o * rows_.taps() + k, o, k);
  }

  /// Returns dy where the top is positive, else 0.
  const Tensor& where_positive(Context& ctx, const Tensor& dy_tensor) {
    masked_.reshape(dy_tensor.shape());
    const float *dy = dy_tensor.read(ctx), *y = rectified_->read(ctx);
    float* to = masked_.write(ctx);
    const Index plane = g_.windows.out_count(), planes = g_.batch * g_.num_output;
#pragma omp parallel for schedule(static) if (worth_threads(planes, plane))
    for (Index i = 0; i < planes; ++i)
      copy_where_positive(dy + i * plane, y + i * plane, plane, to + i * plane);
    return masked_;
  }

  ConvolutionGeometry g_;
  Layout layout_;  // of the top
  Rows rows_;
  std::unique_ptr<Rows> back_;         // for gradients of the bottom
  const Tensor* rectified_ = nullptr;  // the top, once a ReLU is fused
  Tensor masked_;
  bool caches_ = false;
  VersionedCache cache_;  // packed weights
};

}  // namespace

std::string why_not_image_convolution(const ConvolutionGeometry& g) {
  constexpr Index kFew = 64;  // channels; with more, reordering for another engine is faster
  if (cpu_isa() == Isa::baseline) return "it needs AVX2";
  if (!g.four_axes || g.group != 1) return "it supports only N x C x H x W in one group";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.overhangs()) return "the kernel exceeds the padded bottom";
  if (g.batch == 0 || g.windows.in_count() == 0) return "the bottom is empty";
  if (g.channels % channel_block() == 0) return "it supports only bottoms that cannot be blocked";
  if (g.channels >= kFew) return "it supports only few channels";
  for (const WindowAxis& a : {g.windows.axis[0], g.windows.axis[1]})
    if (2 * a.pad > 3 * a.in) return "the padded copy of the bottom would be mostly zeros";
  return {};
}

std::string why_slower_image_convolution(const ConvolutionGeometry& g) {
  constexpr Index kMinProducts = 64;  // products per sum
  const Index taps = g.channels * g.windows.kernel_count();
  if (g.precision == Precision::bfloat16 && taps >= kMinProducts)
    return "oneDNN multiplies bfloat16 at twice the rate";
  return {};
}

std::unique_ptr<ConvolutionEngine> make_image_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<ImageConvolution>(geometry);
}

}  // namespace doppio
