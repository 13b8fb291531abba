#include <algorithm>

#include "layers/normalization/for_each_piece.hpp"
#include "layers/normalization/lrn_engine.hpp"
#include "math/strips.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// The neighbours of a value are at its pixel in adjacent channels.
struct AcrossChannels {
  Index outer, middle, inner;  ///< N * groups, channels of a group, H * W
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

/// The neighbours of a value are in a square around it in its own channel.
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
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
               [=, near = neighbours, k = formula.k, alpha = formula.alpha] KERNEL(Index a, Index b,
                                                                                   Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i)
      y[begin + i] = x[begin + i] * factors(k + alpha * squares[i]).power;
  });
}

/// dx = dy * s^-beta, the first term of the gradient, and ratio = dy * y / s.
template <class Neighbours, class Factors>
void direct_gradient(Context& ctx, const Neighbours& neighbours, Factors factors,
                     const LrnFormula& formula, const float* x, const float* dy, float* ratio,
                     float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
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
  });
}

/// dx -= factor * x * sum of ratio over the neighbours.
template <class Neighbours>
void subtract_cross_terms(Context& ctx, const Neighbours& neighbours, float factor, const float* x,
                          const float* ratio, float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
               [=, near = neighbours] KERNEL(Index a, Index b, Index strip) {
    float sums[kStrip] = {};
    near.sum(a, b, strip * kStrip, sums, [=](Index i) { return ratio[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) dx[begin + i] -= factor * x[begin + i] * sums[i];
  });
}

/// Values per chunk of images whose gradients are computed together. On a CPU a chunk is one image,
/// so that the ratios stay in a core's cache.
constexpr Index kPiece = kDevice == Device::cuda ? 1 << 24 : 1;

class GenericLrn final : public LrnEngine {
 public:
  explicit GenericLrn(const LrnGeometry& geometry) : g_(geometry) {}

  void forward_maps(Context& ctx, Index images, const float* x, float* y) const override {
    dispatch(images, [&](auto neighbours, auto factors) {
      normalize(ctx, neighbours, factors, g_.formula, x, y);
    });
  }

  Index workspace(Index images) const override {
    return num_threads_for(pieces(images)) * images_per_piece() * g_.values();
  }

  void backward_maps(Context& ctx, Index images, const float* x, const float* dy, float* workspace,
                     float* dx) const override {
    const Index each = images_per_piece() * g_.values();
    for_each_piece(pieces(images), [&](Index i, Index thread) {
      const Index some = std::min(images_per_piece(), images - i * images_per_piece());
      const Index first = i * each;
      piece_backward(ctx, some, x + first, dy + first, workspace + thread * each, dx + first);
    });
  }

 private:
  void piece_backward(Context& ctx, Index images, const float* x, const float* dy, float* ratio,
                      float* dx) const {
    dispatch(images, [&](auto neighbours, auto factors) {
      direct_gradient(ctx, neighbours, factors, g_.formula, x, dy, ratio, dx);
      subtract_cross_terms(ctx, neighbours, g_.formula.cross_term(), x, ratio, dx);
    });
  }

  Index images_per_piece() const {
    return std::max<Index>(1, kPiece / std::max<Index>(1, g_.values()));
  }
  Index pieces(Index images) const {
    return (images + images_per_piece() - 1) / images_per_piece();
  }

  /// Calls run(neighbours, factors) with the types for the geometry.
  template <class Run>
  void dispatch(Index images, Run run) const {
    with_factors(g_.formula.beta, [&](auto factors) {
      if (g_.across)
        run(AcrossChannels{images * g_.group, g_.group_channels(), g_.height * g_.width,
                           g_.formula.reach},
            factors);
      else
        run(WithinChannel{images * g_.channels, g_.height, g_.width, g_.formula.reach}, factors);
    });
  }

  LrnGeometry g_;
};

}  // namespace

std::unique_ptr<LrnEngine> make_generic_lrn(const LrnGeometry& geometry) {
  return std::make_unique<GenericLrn>(geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
