#include <algorithm>
#include <array>
#include <vector>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "layers/engines/convolution.hpp"
#include "layers/engines/image_kernels.hpp"

namespace doppio {

namespace {

/// Ranges of images whose gradients are summed apart: the result must not depend on the number of
/// threads.
constexpr Index kParts = 32;

const ImageKernels& kernels() { return cpu_isa() == Isa::avx512 ? kImageAvx512 : kImageAvx2; }

/// Writes the row's gradients dy, where y is positive and else zero, to `line` and lets the row
/// find them there.
const float* where_positive(const float* dy, const float* y, ImageRow& row, float* line) {
  const Index width = row.windows * channel_block();
  for (Index b = 0; b < row.blocks; ++b)
    for (Index i = 0; i < width; ++i)
      line[b * width + i] = y[b * row.plane + i] > 0 ? dy[b * row.plane + i] : 0;
  row.plane = width;
  return line;
}

/// Convolves plain images of few channels into blocked maps, directly: in a row of windows each
/// value of the image meets all outputs of two blocks in registers.
class ImageConvolution final : public ConvolutionEngine {
 public:
  explicit ImageConvolution(const ConvolutionGeometry& g)
      : g_(g),
        rows_(g.windows.axis[0]),
        cols_(g.windows.axis[1]),
        height_(rows_.in + 2 * rows_.pad),
        width_(cols_.in + 2 * cols_.pad),
        pairs_((g.num_output / B + 1) / 2) {
    for (Index c = 0; c < g.channels; ++c)
      for (Index h = 0; h < rows_.kernel; ++h)
        for (Index w = 0; w < cols_.kernel; ++w)
          taps_.push_back((c * height_ + h * rows_.dilation) * width_ + w * cols_.dilation);
  }

  void forward(Context& ctx, const Tensor& x_, const Tensor& weight_, const Tensor* bias_,
               Tensor& y_) override {
    float* packed = ctx.workspace(weight_count() + padded_count());
    const float* x = padded(x_.read(ctx), packed + weight_count());
    const float* bias = bias_ ? bias_->read(ctx) : nullptr;
    float* y = y_.write(ctx, Layout::blocked);
    const float* weight = weight_.read(ctx);
    for_each_weight([&](Index at, Index in_packed) { packed[in_packed] = weight[at]; });
#pragma omp parallel for collapse(2) schedule(static)
    for (Index n = 0; n < g_.batch; ++n)
      for (Index oh = 0; oh < rows_.out; ++oh)
        for (Index pair = 0; pair < pairs_; ++pair)
          kernels().forward(row(x, n, oh, pair), packed + pair * pair_size(),
                            bias ? bias + pair * 2 * B : nullptr, rectified_ != nullptr,
                            y + top(n, oh, pair));
  }

  /// By the reference: first layers hardly ever need it.
  void backward_data(Context& ctx, const Tensor& dy_, const Tensor& weight, Tensor& dx) override {
    const auto reference = make_gemm_convolution(g_);
    if (!rectified_) return reference->backward_data(ctx, dy_, weight, dx);
    Tensor masked;
    masked.reshape(dy_.shape());
    const float *dy = dy_.read(ctx), *y = rectified_->read(ctx);
    float* to = masked.write(ctx);
    for (Index i = 0; i < masked.count(); ++i) to[i] = y[i] > 0 ? dy[i] : 0;
    reference->backward_data(ctx, masked, weight, dx);
  }

  void backward_params(Context& ctx, const Tensor& x_, const Tensor& dy_, Tensor* dweight_,
                       Tensor* dbias_) override {
    const Index part = weight_count() + g_.num_output, parts = std::min(kParts, g_.batch);
    float* sums = ctx.workspace(parts * part + padded_count());
    const float* x = padded(x_.read(ctx), sums + parts * part);
    const float* dy = dy_.read(ctx, Layout::blocked);
    const float* y = rectified_ ? rectified_->read(ctx, Layout::blocked) : nullptr;
#pragma omp parallel for schedule(static)
    for (Index p = 0; p < parts; ++p) {
      float *dweight = sums + p * part, *dbias = dweight + weight_count();
      std::fill_n(dweight, part, 0.0f);
      std::vector<float> line(static_cast<std::size_t>(y ? 2 * cols_.out * B : 0));
      for (Index n = p * g_.batch / parts; n < (p + 1) * g_.batch / parts; ++n)
        for (Index oh = 0; oh < rows_.out; ++oh)
          for (Index pair = 0; pair < pairs_; ++pair) {
            ImageRow r = row(x, n, oh, pair);
            const float* slope = dy + top(n, oh, pair);
            if (y) slope = where_positive(slope, y + top(n, oh, pair), r, line.data());
            kernels().weights(r, slope, dweight + pair * pair_size(), dbias + pair * 2 * B);
          }
    }
    for (Index p = 1; p < parts; ++p)
      for (Index i = 0; i < part; ++i) sums[i] += sums[p * part + i];
    if (dweight_) {
      float* dweight = dweight_->update(ctx);
      for_each_weight([&](Index at, Index in_packed) { dweight[at] += sums[in_packed]; });
    }
    if (dbias_) {
      float* dbias = dbias_->update(ctx);
      for (Index o = 0; o < g_.num_output; ++o) dbias[o] += sums[weight_count() + o];
    }
  }

  bool fuse_relu(const Tensor& y, bool) override {
    rectified_ = &y;
    return true;
  }

 private:
  Index taps() const { return static_cast<Index>(taps_.size()); }
  Index weight_count() const { return g_.num_output * taps(); }
  Index pair_size() const { return 2 * B * taps(); }

  /// Calls f with the place of every weight in our tensor and among the packed ones: pairs of
  /// blocks, then taps, then outputs. An odd last block stands alone.
  template <class F>
  void for_each_weight(F f) const {
    for (Index o = 0; o < g_.num_output; ++o) {
      const Index pair = o / (2 * B), across = blocks(pair) * B;
      for (Index k = 0; k < taps(); ++k)
        f(o * taps() + k, pair * pair_size() + k * across + o % (2 * B));
    }
  }
  Index blocks(Index pair) const { return std::min<Index>(2, g_.num_output / B - 2 * pair); }

  Index padded_count() const {
    return rows_.pad == 0 && cols_.pad == 0 ? 0 : g_.batch * g_.channels * height_ * width_;
  }
  /// The images with their padding around them, in `room` if there is any.
  const float* padded(const float* x, float* room) const {
    if (padded_count() == 0) return x;
#pragma omp parallel for schedule(static)
    for (Index plane = 0; plane < g_.batch * g_.channels; ++plane) {
      float* to = room + plane * height_ * width_;
      std::fill_n(to, height_ * width_, 0.0f);
      for (Index h = 0; h < rows_.in; ++h)
        std::copy_n(x + (plane * rows_.in + h) * cols_.in, cols_.in,
                    to + (h + rows_.pad) * width_ + cols_.pad);
    }
    return room;
  }

  ImageRow row(const float* x, Index n, Index oh, Index pair) const {
    return {.x = x + (n * g_.channels * height_ + oh * rows_.stride) * width_,
            .tap = taps_.data(),
            .taps = taps(),
            .step = cols_.stride,
            .windows = cols_.out,
            .plane = rows_.out * cols_.out * B,
            .blocks = static_cast<int>(blocks(pair))};
  }
  Index top(Index n, Index oh, Index pair) const {
    return ((n * g_.num_output / B + 2 * pair) * rows_.out + oh) * cols_.out * B;
  }

  const Index B = channel_block();
  ConvolutionGeometry g_;
  WindowAxis rows_, cols_;
  Index height_, width_;  // of a padded image
  Index pairs_;           // of blocks of outputs
  std::vector<Index> taps_;
  const Tensor* rectified_ = nullptr;  // the top, once a ReLU is fused
};

}  // namespace

std::string why_not_image_convolution(const ConvolutionGeometry& g) {
  if (cpu_isa() == Isa::baseline) return "it needs AVX2";
  if (!g.four_axes || g.group != 1) return "it takes N x C x H x W in one group";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.batch == 0 || g.windows.in_count() == 0) return "the bottom is empty";
  if (g.channels >= channel_block()) return "it is for images of few channels";
  if (g.num_output % channel_block() != 0)
    return str("num_output is no multiple of ", channel_block());
  return {};
}

std::unique_ptr<ConvolutionEngine> make_image_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<ImageConvolution>(geometry);
}

}  // namespace doppio
