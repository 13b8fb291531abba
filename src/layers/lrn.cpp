#include <algorithm>

#include "doppio.pb.h"
#include "doppio/registry.hpp"
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

/// x^beta for x >= 0; roots where they do, because powf is several times as slow.
struct ThreeQuarters {
  HOST_DEVICE float operator()(float x) const { return std::sqrt(x) * std::sqrt(std::sqrt(x)); }
};
struct Half {
  HOST_DEVICE float operator()(float x) const { return std::sqrt(x); }
};
struct One {
  HOST_DEVICE float operator()(float x) const { return x; }
};
struct AnyPower {
  float beta;
  HOST_DEVICE float operator()(float x) const { return std::pow(x, beta); }
};

/// inverse = 1 / (k + alpha * sum of x^2 over the neighbours), y = x * inverse^beta.
template <class Neighbours, class Power>
void normalize(Context& ctx, const Neighbours& neighbours, Power power, float k, float alpha,
               const float* x, float* inverse, float* y) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(
      ctx, {A, B, strips(C)},
      [=, near = neighbours] KERNEL(Index a, Index b, Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) {
      const float r = 1 / (k + alpha * squares[i]);
      inverse[begin + i] = r;
      y[begin + i] = x[begin + i] * power(r);
    }
      },
      std::min(C, kStrip));
}

/// dx = dy * inverse^beta - factor * x * sum of dy * y * inverse over the neighbours.
template <class Neighbours, class Power>
void normalize_backward(Context& ctx, const Neighbours& neighbours, Power power, float factor,
                        const float* x, const float* inverse, const float* y, const float* dy,
                        float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(
      ctx, {A, B, strips(C)},
      [=, near = neighbours] KERNEL(Index a, Index b, Index strip) {
    float pulls[kStrip] = {};
    near.sum(a, b, strip * kStrip, pulls, [=](Index i) { return dy[i] * y[i] * inverse[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i)
      dx[begin + i] = dy[begin + i] * power(inverse[begin + i]) - factor * x[begin + i] * pulls[i];
      },
      std::min(C, kStrip));
}

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
    inverse_.reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    float* inverse = inverse_.write(ctx);
    dispatch(bottom[0]->shape(), [&](auto neighbours, auto power) {
      normalize(ctx, neighbours, power, k_, alpha_, x, inverse, y);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx);
    const float* y = top[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    const float* inverse = inverse_.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    dispatch(bottom[0]->shape(), [&](auto neighbours, auto power) {
      normalize_backward(ctx, neighbours, power, 2 * alpha_ * beta_, x, inverse, y, dy, dx);
    });
  }

 private:
  /// run(neighbours, power) with the types that the parameters ask for.
  template <class Run>
  void dispatch(const Shape& s, Run run) const {
    const auto with_power = [&](auto neighbours) {
      if (beta_ == 0.75f)
        run(neighbours, ThreeQuarters{});
      else if (beta_ == 0.5f)
        run(neighbours, Half{});
      else if (beta_ == 1)
        run(neighbours, One{});
      else
        run(neighbours, AnyPower{beta_});
    };
    const Index reach = std::min(size_ / 2, *std::max_element(s.dims().begin(), s.dims().end()));
    if (across_)
      with_power(AcrossChannels{s[0], s[1], s[2] * s[3], reach});
    else
      with_power(WithinChannel{s[0] * s[1], s[2], s[3], reach});
  }

  Index size_;
  bool across_;
  float beta_, k_, alpha_;
  Tensor inverse_;  // 1 / (k + alpha * sum of squares)
};

DOPPIO_REGISTER_LAYER("LRN", Lrn);

}  // namespace
}  // namespace doppio
