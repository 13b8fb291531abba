#include <algorithm>
#include <cstring>

#include "core/layout.hpp"
#include "layers/normalization/lrn_engine.hpp"
#include "math/kernel.hpp"
#include "math/lanes.hpp"

namespace doppio {

namespace {

constexpr Index kLongestStrip = 16;  // pixels

/// A strip of pixels of an image.
struct Strip {
  Index image, begin, pixels;
};

/// The values of a strip, with all channels of a pixel contiguous. Zeros on both sides replace the
/// missing neighbours of the first and last channels.
template <Index B>
class Columns {
 public:
  static constexpr Index kFloats = 4096;  // two of them fit in the L1 cache

  /// Zeros on each side: whole blocks, so that every block is aligned.
  static Index margin(Index reach) { return (reach + B - 1) / B * B; }
  /// Pixels that fit.
  static Index capacity(Index channels, Index reach) {
    return kFloats / (channels + 2 * margin(reach));
  }

  Columns(const Strip& strip, Index channels, Index reach)
      : pixels_(strip.pixels), width_(channels + 2 * margin(reach)), reach_(reach) {
    for (Index p = 0; p < pixels_; ++p)
      for (Index i = 0; i < margin(reach); ++i)
        values_[p * width_ + i] = values_[(p + 1) * width_ - 1 - i] = 0;
  }

  /// Sets the block of channels starting at `channel`, pixel by pixel, to f(0), f(1), ...
  template <class F>
  void set(Index channel, F f) {
    for (Index p = 0; p < pixels_; ++p) {
      float* to = values_ + p * width_ + margin(reach_) + channel;
#pragma omp simd
      for (Index b = 0; b < B; ++b) to[b] = f(p * B + b);
    }
  }

  /// Sums over the neighbours of the same values, in the same order.
  void sum_neighbours(Index channel, float* sums) const {
    if (reach_ == 2)
      sum_window<5>(channel, 5, sums);
    else
      sum_window<0>(channel, 2 * reach_ + 1, sums);
  }

 private:
  /// kLength: the window's length if known at compile time, else 0.
  template <Index kLength>
  void sum_window(Index channel, Index any_length, float* sums) const {
    const Index length = kLength > 0 ? kLength : any_length;
    for (Index p = 0; p < pixels_; ++p) {
      const float* first = values_ + p * width_ + margin(reach_) + channel - reach_;
      typename Lanes<B>::Floats sum = {}, value;
      for (Index i = 0; i < length; ++i) {
        std::memcpy(&value, first + i, sizeof(value));
        sum += value;
      }
      std::memcpy(sums + p * B, &sum, sizeof(sum));
    }
  }

  Index pixels_, width_, reach_;
  alignas(64) float values_[kFloats];
};

/// Prefetches n values: strips change address too often for the hardware prefetcher.
template <int kWrite>
void prefetch(const float* from, Index n) {
  for (Index i = 0; i < n; i += 16) __builtin_prefetch(from + i, kWrite);
}

/// Calls work(strip) for strips that cover all pixels of all images.
template <Index B, class Work>
void for_each_strip(Context& ctx, const TensorDims& dims, Index reach, Work work) {
  const Index longest = std::min(kLongestStrip, Columns<B>::capacity(dims.channels, reach));
  parallel_for(ctx, {dims.images, (dims.pixels + longest - 1) / longest, 1},
               longest * dims.channels, [=, S = dims.pixels](Index image, Index strip, Index) {
                 work(Strip{image, strip * longest, std::min(longest, S - strip * longest)});
               });
}

/// Calls f(c, i) for each block of the strip's channels: c is its first channel, i the index of the
/// first of its pixels * B contiguous values.
template <Index B, class F>
void for_each_block(const TensorDims& dims, const Strip& strip, F f) {
  for (Index c = 0; c < dims.channels; c += B)
    f(c, (strip.image * dims.channels + c) * dims.pixels + strip.begin * B);
}

template <Index B, class Factors>
void forward(Context& ctx, const TensorDims& dims, const LrnFormula& formula, Factors factors,
             const float* x, float* y) {
  for_each_strip<B>(ctx, dims, formula.reach, [=](const Strip& strip) {
    Columns<B> squares(strip, dims.channels, formula.reach);
    for_each_block<B>(dims, strip, [&](Index c, Index first) {
      prefetch<0>(x + first + strip.pixels * B, strip.pixels * B);
      prefetch<1>(y + first, strip.pixels * B);
      squares.set(c, [=](Index i) { return x[first + i] * x[first + i]; });
    });
    for_each_block<B>(dims, strip, [&](Index c, Index first) {
      alignas(64) float sums[kLongestStrip * B];
      squares.sum_neighbours(c, sums);
      const float k = formula.k, alpha = formula.alpha;
#pragma omp simd
      for (Index i = 0; i < strip.pixels * B; ++i)
        y[first + i] = x[first + i] * factors(k + alpha * sums[i]).power;
    });
  });
}

template <Index B, class Factors>
void backward(Context& ctx, const TensorDims& dims, const LrnFormula& formula, Factors factors,
              const float* x, const float* dy, float* dx) {
  for_each_strip<B>(ctx, dims, formula.reach, [=](const Strip& strip) {
    const Index n = strip.pixels * B;
    alignas(64) float sums[kLongestStrip * B];
    Columns<B> squares(strip, dims.channels, formula.reach);
    for_each_block<B>(dims, strip, [&](Index c, Index first) {
      prefetch<0>(x + first + n, n);
      prefetch<0>(dy + first, n);
      prefetch<1>(dx + first, n);
      squares.set(c, [=](Index i) { return x[first + i] * x[first + i]; });
    });
    Columns<B> ratios(strip, dims.channels, formula.reach);  // dy * y / s
    for_each_block<B>(dims, strip, [&](Index c, Index first) {
      squares.sum_neighbours(c, sums);
      const float k = formula.k, alpha = formula.alpha;
#pragma omp simd
      for (Index i = 0; i < n; ++i) {
        const LrnFactors f = factors(k + alpha * sums[i]);
        dx[first + i] = dy[first + i] * f.power;
        sums[i] = dx[first + i] * x[first + i] * f.inverse;
      }
      ratios.set(c, [&](Index i) { return sums[i]; });
    });
    for_each_block<B>(dims, strip, [&](Index c, Index first) {
      ratios.sum_neighbours(c, sums);
      const float factor = formula.cross_term();
#pragma omp simd
      for (Index i = 0; i < n; ++i) dx[first + i] -= factor * x[first + i] * sums[i];
    });
  });
}

class BlockedLrn final : public LrnEngine {
 public:
  explicit BlockedLrn(const LrnGeometry& geometry)
      : LrnEngine(Layout::nchw_blocked), g_(geometry) {}

  void forward_maps(Context& ctx, Index images, const float* x, float* y) const override {
    with_factors(g_.formula.beta, [&](auto factors) {
      channel_block() == 16 ? doppio::forward<16>(ctx, dims(images), g_.formula, factors, x, y)
                            : doppio::forward<8>(ctx, dims(images), g_.formula, factors, x, y);
    });
  }

  void backward_maps(Context& ctx, Index images, const float* x, const float* dy,
                     float* /*workspace*/, float* dx) const override {
    with_factors(g_.formula.beta, [&](auto factors) {
      channel_block() == 16
          ? doppio::backward<16>(ctx, dims(images), g_.formula, factors, x, dy, dx)
          : doppio::backward<8>(ctx, dims(images), g_.formula, factors, x, dy, dx);
    });
  }

 private:
  TensorDims dims(Index images) const {
    return {images * g_.group, g_.group_channels(), g_.height * g_.width};
  }

  LrnGeometry g_;
};

}  // namespace

std::string why_not_blocked_lrn(const LrnGeometry& g) {
  if (g.layout != Layout::nchw_blocked) return "the maps are not blocked";
  if (!g.across) return "it supports only ACROSS_CHANNELS";
  if (g.group_channels() % channel_block() != 0)
    return str("a group of ", g.group_channels(), " channels ends within a block of ",
               channel_block());
  const bool fits = Columns<16>::capacity(g.group_channels(), g.formula.reach) > 0;
  return fits ? "" : "its buffer is too small for this number of channels";
}

std::unique_ptr<LrnEngine> make_blocked_lrn(const LrnGeometry& geometry) {
  return std::make_unique<BlockedLrn>(geometry);
}

}  // namespace doppio
