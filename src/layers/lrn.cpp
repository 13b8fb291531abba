#include "layers/lrn.hpp"

#include <algorithm>

#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "layers/engines/blocked_lrn.hpp"
#include "layers/run_layout.hpp"
#include "math/strips.hpp"

namespace doppio {
namespace {

/// Neighbours of a value are those at its pixel in the channels around.
struct AcrossChannels {
  Index outer, middle, inner;  ///< N, C, H * W
  Index reach;                 ///< neighbours on each side

  /// sums[i] = sum of f(index) over value i of the strip at (n, c, begin) and its neighbours.
  template <class F>
  HOST_DEVICE void sum(Index n, Index c, Index begin, float* sums, F f) const {
    const Index width = strip_width(begin, inner);
    const Index first = c < reach ? 0 : c - reach;
    const Index last = c + reach < middle ? c + reach : middle - 1;
    for (Index channel = first; channel <= last; ++channel) {
      const Index at = (n * middle + channel) * inner + begin;
      for (Index i = 0; i < width; ++i) sums[i] += f(at + i);
    }
  }
};

/// Neighbours of a value are those in a square around it in its own channel.
struct WithinChannel {
  Index outer, middle, inner;  ///< N * C, H, W
  Index reach;

  template <class F>
  HOST_DEVICE void sum(Index map, Index h, Index begin, float* sums, F f) const {
    const Index width = strip_width(begin, inner);
    const Index h_last = h + reach < middle ? h + reach : middle - 1;
    for (Index row = h < reach ? 0 : h - reach; row <= h_last; ++row)
      for (Index shift = -reach; shift <= reach; ++shift) {
        const Index w = begin + shift, at = (map * middle + row) * inner + w;
        const Index end = inner - w < width ? inner - w : width;
        for (Index i = w < 0 ? -w : 0; i < end; ++i) sums[i] += f(at + i);
      }
  }
};

/// y = x * s^-beta, with s = k + alpha * sum of x^2 over the neighbours.
template <class Neighbours, class Factors>
void normalize(Context& ctx, const Neighbours& neighbours, Factors factors,
               const LrnFormula& formula, const float* x, float* y) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(
      ctx, {A, B, strips(C)},
      [=, near = neighbours, k = formula.k, alpha = formula.alpha] KERNEL(Index a, Index b,
                                                                          Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i)
      y[begin + i] = x[begin + i] * factors(k + alpha * squares[i]).power;
      },
      std::min(C, kStrip));
}

/// dx = dy * s^-beta, the first term of the gradient, and ratio = dy * y / s.
template <class Neighbours, class Factors>
void direct_gradient(Context& ctx, const Neighbours& neighbours, Factors factors,
                     const LrnFormula& formula, const float* x, const float* dy, float* ratio,
                     float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(
      ctx, {A, B, strips(C)},
      [=, near = neighbours, k = formula.k, alpha = formula.alpha] KERNEL(Index a, Index b,
                                                                          Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) {
      const LrnFactors f = factors(k + alpha * squares[i]);
      const float scaled = dy[begin + i] * f.power;
      dx[begin + i] = scaled;
      ratio[begin + i] = scaled * x[begin + i] * f.inverse;
    }
      },
      std::min(C, kStrip));
}

/// dx -= pull * x * sum of ratio over the neighbours.
template <class Neighbours>
void subtract_pulls(Context& ctx, const Neighbours& neighbours, float pull, const float* x,
                    const float* ratio, float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(
      ctx, {A, B, strips(C)},
      [=, near = neighbours] KERNEL(Index a, Index b, Index strip) {
    float sums[kStrip] = {};
    near.sum(a, b, strip * kStrip, sums, [=](Index i) { return ratio[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) dx[begin + i] -= pull * x[begin + i] * sums[i];
      },
      std::min(C, kStrip));
}

/// Values whose ratios backward keeps at a time: few enough for a CPU's cache.
constexpr Index kPiece = kDevice == Device::cuda ? 1 << 24 : 1 << 20;

/// Local response normalization: a value counts for less where its neighbours are large.
///
/// Shapes: N x C x H x W in and out. y = x * (k + alpha * m)^(-beta), where m is the mean of x^2
/// over local_size (odd, default 5) channels around (norm_region ACROSS_CHANNELS) or over a square
/// of local_size pixels a side (WITHIN_CHANNEL, which takes 1 for k); what lies outside the blob
/// counts as 0. Defaults: alpha 1, beta 0.75, k 1.
///
/// Throws: Error if local_size is even or the bottom has not 4 axes.
/// Source: Krizhevsky et al. (2012), whose alpha is alpha / local_size here; matches Caffe.
class Lrn final : public Layer {
 public:
  explicit Lrn(const LayerParameter& layer)
      : size_(layer.lrn_param().local_size()),
        across_(layer.lrn_param().norm_region() == LRNParameter::ACROSS_CHANNELS),
        beta_(layer.lrn_param().beta()),
        k_(across_ ? layer.lrn_param().k() : 1) {
    require_field(size_ % 2 == 1, "lrn_param.local_size", "local_size must be odd, not ", size_);
    const auto size = static_cast<float>(size_);
    alpha_ = layer.lrn_param().alpha() / (across_ ? size : size * size);
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() == 4, "LRN needs a bottom of 4 axes (N x C x H x W), not ", shape.text());
    top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    layout_ =
        across_ && lrn_can_block(shape[1], size_ / 2) ? run_layout(ctx, *bottom[0]) : Layout::plain;
    const float* x = bottom[0]->data.read(ctx, layout_);
    float* y = top[0]->data.write(ctx, layout_);
    if (layout_ == Layout::blocked) {
      if constexpr (kDevice == Device::cpu)
        lrn_blocked(ctx, blocks_of(shape), formula(shape), x, y);
      return;
    }
    dispatch(shape, [&](auto neighbours, auto factors) {
      normalize(ctx, neighbours, factors, formula(shape), x, y);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Shape& shape = bottom[0]->shape();
    const float* x = bottom[0]->data.read(ctx, layout_);
    const float* dy = top[0]->grad.read(ctx, layout_);
    float* dx = bottom[0]->grad.write(ctx, layout_);
    if (layout_ == Layout::blocked) {
      if constexpr (kDevice == Device::cpu)
        lrn_backward_blocked(ctx, blocks_of(shape), formula(shape), x, dy, dx);
      return;
    }
    dispatch(shape, [&](auto neighbours, auto factors) {
      const Index each = neighbours.middle * neighbours.inner, all = neighbours.outer;
      if (each == 0) return;
      const Index step = std::max<Index>(1, kPiece / each);
      float* ratio = ctx.workspace(std::min(step, all) * each);
      for (Index i = 0; i < all; i += step) {
        neighbours.outer = std::min(step, all - i);
        const Index first = i * each;
        direct_gradient(ctx, neighbours, factors, formula(shape), x + first, dy + first, ratio,
                        dx + first);
        subtract_pulls(ctx, neighbours, formula(shape).pull(), x + first, ratio, dx + first);
      }
    });
  }

 private:
  LrnFormula formula(const Shape& s) const {
    const Index longest = *std::max_element(s.dims().begin(), s.dims().end());
    return {std::min(size_ / 2, longest), k_, alpha_, beta_};
  }

  /// run(neighbours, factors) with the types that the parameters ask for.
  template <class Run>
  void dispatch(const Shape& s, Run run) const {
    const Index reach = formula(s).reach;
    with_factors(beta_, [&](auto factors) {
      if (across_)
        run(AcrossChannels{s[0], s[1], s[2] * s[3], reach}, factors);
      else
        run(WithinChannel{s[0] * s[1], s[2], s[3], reach}, factors);
    });
  }

  Index size_;
  bool across_;
  float beta_, k_, alpha_;
  Layout layout_ = Layout::plain;  // of the last forward pass
};

DOPPIO_REGISTER_LAYER("LRN", Lrn, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
