#pragma once
#include <cstdint>

#include "core/philox.hpp"
#include "math/strips.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// How windows lie along the rows or columns of a map; pixels beyond the map do not count.
struct PoolAxis {
  Index size = 0, windows = 0;
  Index kernel = 0, stride = 1, pad = 0;

  /// Window o holds the pixels begin(o) .. end(o)-1 of the map.
  HOST_DEVICE Index begin(Index o) const { return clip(o * stride - pad); }
  HOST_DEVICE Index end(Index o) const { return clip(o * stride - pad + kernel); }
  /// Length of window o within the padded map.
  HOST_DEVICE Index padded_length(Index o) const {
    const Index rest = size + 2 * pad - o * stride;
    return rest < kernel ? rest : kernel;
  }
  /// Pixel i lies in the windows first_window(i) .. last_window(i).
  HOST_DEVICE Index first_window(Index i) const {
    return i + pad < kernel ? 0 : (i + pad - kernel) / stride + 1;
  }
  HOST_DEVICE Index last_window(Index i) const {
    const Index o = (i + pad) / stride;
    return o < windows ? o : windows - 1;
  }
  HOST_DEVICE Index clip(Index i) const { return i < 0 ? 0 : i > size ? size : i; }
};

/// All windows of all N * C maps ("planes"); x has H x W pixels a plane, y a value per window.
struct PoolWindows {
  Index planes = 0;
  PoolAxis rows, cols;

  HOST_DEVICE const float* map(const float* x, Index p) const {
    return x + p * rows.size * cols.size;
  }
  HOST_DEVICE Index at(Index p, Index oh, Index ow) const {
    return (p * rows.windows + oh) * cols.windows + ow;
  }
  /// What an average is divided by: the window's area within the padded map.
  HOST_DEVICE float area(Index oh, Index ow) const {
    return static_cast<float>(rows.padded_length(oh) * cols.padded_length(ow));
  }
};

/// Calls f(i, x[i]) for every pixel i = h * W + w of window (oh, ow) of one map.
template <class F>
HOST_DEVICE void for_each_pixel(const PoolWindows& g, const float* map, Index oh, Index ow, F f) {
  const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow), h_end = g.rows.end(oh);
  for (Index h = g.rows.begin(oh); h < h_end; ++h)
    for (Index w = w_begin; w < w_end; ++w) f(h * g.cols.size + w, map[h * g.cols.size + w]);
}

/// y = the largest of each window; picked = its index h * W + w (the first, of equal ones).
inline void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y,
                     float* picked) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    Index best = g.rows.begin(oh) * g.cols.size + g.cols.begin(ow);
    float largest = map[best];
    for_each_pixel(g, map, oh, ow, [&](Index i, float value) {
      best = value > largest ? i : best;
      largest = value > largest ? value : largest;
    });
    y[g.at(p, oh, ow)] = largest;
    picked[g.at(p, oh, ow)] = static_cast<float>(best);
  });
}

inline void pool_average(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    float sum = 0;
    for_each_pixel(g, g.map(x, p), oh, ow, [&](Index, float value) { sum += value; });
    y[g.at(p, oh, ow)] = sum / g.area(oh, ow);
  });
}

/// y = an x drawn from each window with probability proportional to it; picked = its index.
inline void pool_draw(Context& ctx, const PoolWindows& windows, Random random, const float* x,
                      float* y, float* picked) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    float sum = 0;
    for_each_pixel(g, map, oh, ow, [&](Index, float value) { sum += value; });
    const Index o = g.at(p, oh, ow);
    const float mark = random.uniform(o) * sum;
    Index pick = g.rows.begin(oh) * g.cols.size + g.cols.begin(ow);
    float below = 0;  // sum of the pixels before this one
    for_each_pixel(g, map, oh, ow, [&](Index i, float value) {
      if (value > 0 && below <= mark) pick = i;
      below += value;
    });
    y[o] = map[pick];
    picked[o] = static_cast<float>(pick);
  });
}

/// y = sum(x^2) / sum(x), what pool_draw gives on average; 0 where nothing is positive.
inline void pool_expected(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    float sum = 0, squares = 0;
    for_each_pixel(g, g.map(x, p), oh, ow, [&](Index, float value) {
      sum += value;
      squares += value * value;
    });
    y[g.at(p, oh, ow)] = sum > 0 ? squares / sum : 0;
  });
}

/// What one work item of the backward pass gathers: the gradient of a tile of pixels. A GPU's
/// thread takes one pixel; on the CPU a window's dy goes to a larger tile at once, and not pixel by
/// pixel.
struct PoolTile {
  static constexpr Index kRows = kDevice == Device::cuda ? 1 : 16;

  Index p, h, w;  ///< map and first pixel
  float sums[kRows * kStrip] = {};

  /// Adds to row h + r, pixel w + i.
  HOST_DEVICE void add(Index r, Index i, float value) { sums[r * kStrip + i] += value; }
};

/// dx = what the windows send to the pixels that they hold, summed per pixel: send(g, oh, ow, tile)
/// adds what window (oh, ow) sends to the pixels of `tile`.
template <class Send>
void gather(Context& ctx, const PoolWindows& windows, float* dx, Send send) {
  const Index bands = (windows.rows.size + PoolTile::kRows - 1) / PoolTile::kRows;
  parallel_for(
      ctx, {windows.planes, bands, strips(windows.cols.size)},
      [=, g = windows] KERNEL(Index p, Index band, Index strip) {
    PoolTile tile{p, band * PoolTile::kRows, strip * kStrip};
    const Index rest = g.rows.size - tile.h,
                height = rest < PoolTile::kRows ? rest : PoolTile::kRows;
    const Index width = strip_width(tile.w, g.cols.size);
    const Index oh_last = g.rows.last_window(tile.h + height - 1);
    const Index ow_first = g.cols.first_window(tile.w);
    const Index ow_last = g.cols.last_window(tile.w + width - 1);
    for (Index oh = g.rows.first_window(tile.h); oh <= oh_last; ++oh)
      for (Index ow = ow_first; ow <= ow_last; ++ow) send(g, oh, ow, tile);
    float* pixels = dx + (p * g.rows.size + tile.h) * g.cols.size + tile.w;
    for (Index r = 0; r < height; ++r)
      for (Index i = 0; i < width; ++i) pixels[r * g.cols.size + i] = tile.sums[r * kStrip + i];
      },
      PoolTile::kRows * std::min(windows.cols.size, kStrip));
}

/// All of dy goes to the picked pixel.
struct SendToPicked {
  const float* dy;
  const float* picked;

  HOST_DEVICE void operator()(const PoolWindows& g, Index oh, Index ow, PoolTile& tile) const {
    const Index o = g.at(tile.p, oh, ow), width = g.cols.size;
    const auto index = static_cast<std::uint32_t>(picked[o]);  // 32 bits are divided faster than 64
    const Index h = PoolTile::kRows == 1 ? tile.h : index / static_cast<std::uint32_t>(width);
    const Index r = h - tile.h, i = index - h * width - tile.w;
    if (r >= 0 && r < PoolTile::kRows && i >= 0 && i < kStrip) tile.add(r, i, dy[o]);
  }
};

/// Every pixel of the window gets the same share of dy.
struct SendShares {
  const float* dy;

  HOST_DEVICE void operator()(const PoolWindows& g, Index oh, Index ow, PoolTile& tile) const {
    const float share = dy[g.at(tile.p, oh, ow)] / g.area(oh, ow);
    const Index r_begin = g.rows.begin(oh) - tile.h, r_end = g.rows.end(oh) - tile.h;
    const Index i_begin = g.cols.begin(ow) - tile.w, i_end = g.cols.end(ow) - tile.w;
    for (Index r = r_begin < 0 ? 0 : r_begin; r < r_end && r < PoolTile::kRows; ++r)
      for (Index i = i_begin < 0 ? 0 : i_begin; i < i_end && i < kStrip; ++i) tile.add(r, i, share);
  }
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
