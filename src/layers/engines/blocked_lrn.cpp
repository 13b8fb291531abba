#include "layers/engines/blocked_lrn.hpp"

#include <algorithm>
#include <cstring>

#include "doppio/tensor.hpp"
#include "math/lanes.hpp"

namespace doppio {

namespace {

constexpr Index kLongestStrip = 32;  // pixels

/// A strip of pixels of an image.
struct Strip {
  Index image, begin, pixels;
};

/// The values of a strip with all channels of a pixel side by side, between zeros for the
/// neighbours that the first and the last channels lack.
class Columns {
 public:
  static constexpr Index kFloats = 4096;  // two of them fit into the first-level cache

  /// Pixels that fit.
  static Index capacity(Index channels, Index reach) { return kFloats / (channels + 2 * reach); }

  Columns(const Strip& strip, Index channels, Index reach)
      : pixels_(strip.pixels), width_(channels + 2 * reach), reach_(reach) {
    for (Index p = 0; p < pixels_; ++p)
      for (Index i = 0; i < reach; ++i)
        values_[p * width_ + i] = values_[(p + 1) * width_ - 1 - i] = 0;
  }

  /// Sets the B channels from `channel` on: pixel by pixel to f(0), f(1), ...
  template <Index B, class F>
  void set(Index channel, F f) {
    for (Index p = 0; p < pixels_; ++p) {
      float* to = values_ + p * width_ + reach_ + channel;
#pragma omp simd
      for (Index b = 0; b < B; ++b) to[b] = f(p * B + b);
    }
  }

  /// Sums over the neighbours of the same values, in the same order.
  template <Index B>
  void sum_neighbours(Index channel, float* sums) const {
    using Floats = typename Lanes<B>::Floats;
    for (Index p = 0; p < pixels_; ++p) {
      const float* first = values_ + p * width_ + channel;
      Floats sum = {};
      for (Index i = 0; i <= 2 * reach_; ++i) {
        Floats value;
        std::memcpy(&value, first + i, sizeof(value));
        sum += value;
      }
      std::memcpy(sums + p * B, &sum, sizeof(sum));
    }
  }

 private:
  Index pixels_, width_, reach_;
  float values_[kFloats];
};

/// work(strip) for strips that cover all pixels of all images.
template <class Work>
void for_each_strip(Context& ctx, const Blocks& blocks, Index reach, Work work) {
  const Index longest = std::min(kLongestStrip, Columns::capacity(blocks.channels, reach));
  parallel_for(
      ctx, {blocks.images, (blocks.pixels + longest - 1) / longest, 1},
      [=, S = blocks.pixels](Index image, Index strip, Index) {
    work(Strip{image, strip * longest, std::min(longest, S - strip * longest)});
      },
      longest * blocks.channels);
}

/// f(c, i) for each block of the strip's channels: c is its first channel, i the index of the
/// first of its pixels * B values, which lie one after another.
template <Index B, class F>
void for_each_block(const Blocks& blocks, const Strip& strip, F f) {
  for (Index c = 0; c < blocks.channels; c += B)
    f(c, (strip.image * blocks.channels + c) * blocks.pixels + strip.begin * B);
}

template <Index B, class Factors>
void forward(Context& ctx, const Blocks& blocks, const LrnFormula& formula, Factors factors,
             const float* x, float* y) {
  for_each_strip(ctx, blocks, formula.reach, [=](const Strip& strip) {
    Columns squares(strip, blocks.channels, formula.reach);
    for_each_block<B>(blocks, strip, [&](Index c, Index first) {
      squares.template set<B>(c, [=](Index i) { return x[first + i] * x[first + i]; });
    });
    for_each_block<B>(blocks, strip, [&](Index c, Index first) {
      alignas(64) float sums[kLongestStrip * B];
      squares.template sum_neighbours<B>(c, sums);
      const float k = formula.k, alpha = formula.alpha;
#pragma omp simd
      for (Index i = 0; i < strip.pixels * B; ++i)
        y[first + i] = x[first + i] * factors(k + alpha * sums[i]).power;
    });
  });
}

template <Index B, class Factors>
void backward(Context& ctx, const Blocks& blocks, const LrnFormula& formula, Factors factors,
              const float* x, const float* dy, float* dx) {
  for_each_strip(ctx, blocks, formula.reach, [=](const Strip& strip) {
    const Index n = strip.pixels * B;
    alignas(64) float sums[kLongestStrip * B];
    Columns squares(strip, blocks.channels, formula.reach);
    for_each_block<B>(blocks, strip, [&](Index c, Index first) {
      squares.template set<B>(c, [=](Index i) { return x[first + i] * x[first + i]; });
    });
    Columns ratios(strip, blocks.channels, formula.reach);  // dy * y / s
    for_each_block<B>(blocks, strip, [&](Index c, Index first) {
      squares.template sum_neighbours<B>(c, sums);
      const float k = formula.k, alpha = formula.alpha;
#pragma omp simd
      for (Index i = 0; i < n; ++i) {
        const LrnFactors f = factors(k + alpha * sums[i]);
        dx[first + i] = dy[first + i] * f.power;
        sums[i] = dx[first + i] * x[first + i] * f.inverse;
      }
      ratios.template set<B>(c, [&](Index i) { return sums[i]; });
    });
    for_each_block<B>(blocks, strip, [&](Index c, Index first) {
      ratios.template sum_neighbours<B>(c, sums);
      const float pull = formula.pull();
#pragma omp simd
      for (Index i = 0; i < n; ++i) dx[first + i] -= pull * x[first + i] * sums[i];
    });
  });
}

}  // namespace

bool lrn_can_block(Index channels, Index reach) { return Columns::capacity(channels, reach) > 0; }

void lrn_blocked(Context& ctx, const Blocks& blocks, const LrnFormula& formula, const float* x,
                 float* y) {
  with_factors(formula.beta, [&](auto factors) {
    channel_block() == 16 ? forward<16>(ctx, blocks, formula, factors, x, y)
                          : forward<8>(ctx, blocks, formula, factors, x, y);
  });
}

void lrn_backward_blocked(Context& ctx, const Blocks& blocks, const LrnFormula& formula,
                          const float* x, const float* dy, float* dx) {
  with_factors(formula.beta, [&](auto factors) {
    channel_block() == 16 ? backward<16>(ctx, blocks, formula, factors, x, dy, dx)
                          : backward<8>(ctx, blocks, formula, factors, x, dy, dx);
  });
}

}  // namespace doppio
