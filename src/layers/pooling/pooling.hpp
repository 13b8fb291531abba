#pragma once
#include <cstdint>

#include "core/philox.hpp"
#include "doppio/tensor.hpp"
#include "math/strips.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// How windows lie along the rows or columns of a map; pixels beyond the map do not count.
template <class Int>
struct PoolAxisOf {
  Int size = 0, windows = 0;
  Int kernel = 0, stride = 1, pad = 0;

  /// Window o begins at pixel start(o), and holds the pixels begin(o) .. end(o)-1 of the map.
  HOST_DEVICE Int start(Int o) const { return o * stride - pad; }
  HOST_DEVICE Int begin(Int o) const { return clip(start(o)); }
  HOST_DEVICE Int end(Int o) const { return clip(start(o) + kernel); }
  /// Length of window o within the padded map.
  HOST_DEVICE Int padded_length(Int o) const {
    const Int rest = size + 2 * pad - o * stride;
    return rest < kernel ? rest : kernel;
  }
  /// Pixel i lies in the windows first_window(i) .. last_window(i).
  HOST_DEVICE Int first_window(Int i) const {
    return i + pad < kernel ? 0 : (i + pad - kernel) / stride + 1;
  }
  HOST_DEVICE Int last_window(Int i) const {
    const Int o = (i + pad) / stride;
    return o < windows ? o : windows - 1;
  }
  HOST_DEVICE Int clip(Int i) const { return i < 0 ? 0 : i > size ? size : i; }
};
using PoolAxis = PoolAxisOf<Index>;

/// How windows lie in maps, and whether each gives its largest value or its mean.
struct DevicePool {
  PoolAxis rows, cols;
  bool max;
};

/// What a layer needs to take over the pooling behind it: on the CPU some images at a time, on an
/// accelerator (device_pooling.hpp) all at once.
class PoolsImages {
 public:
  virtual ~PoolsImages() = default;
  /// True if it has one top, and no draws that depend on the number of images.
  virtual bool pools_images(Layout layout) const = 0;
  virtual DevicePool device_pool() const = 0;
  /// What the functions below keep or need for backward, of all images: memory that the layer owns.
  virtual float* write_picks(Context& ctx) = 0;
  virtual const float* read_picks(Context& ctx) = 0;
  /// Writes the windows of the images `first` .. first+n-1 to y, the top's data; x holds those
  /// images alone. Threads may work on different images.
  virtual void pool_images(Context& ctx, Layout layout, Index first, Index n, const float* x,
                           float* y, float* picks) const = 0;
  /// Writes the gradient of those images alone to dx; dy is the top's.
  virtual void send_back_images(Context& ctx, Layout layout, Index first, Index n, const float* dy,
                                const float* picks, float* dx) const = 0;
};

struct PoolPixel {
  Index h, w;
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
  /// Place of a pixel among the kernel_h x kernel_w of window (oh, ow), and the way back.
  HOST_DEVICE Index place(Index oh, Index ow, Index h, Index w) const {
    return (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
  }
  /// Place of the first pixel within the map.
  HOST_DEVICE Index first_place(Index oh, Index ow) const {
    return place(oh, ow, rows.begin(oh), cols.begin(ow));
  }
  HOST_DEVICE PoolPixel pixel(Index oh, Index ow, std::uint32_t place) const {
    const auto width = static_cast<std::uint32_t>(cols.kernel);  // 32 bits are divided faster
    return {rows.start(oh) + place / width, cols.start(ow) + place % width};
  }
  /// What an average is divided by: the window's area within the padded map.
  HOST_DEVICE float area(Index oh, Index ow) const {
    return static_cast<float>(rows.padded_length(oh) * cols.padded_length(ow));
  }
};

/// Calls f(place, value) for every pixel of window (oh, ow) of one map.
template <class F>
HOST_DEVICE void for_each_pixel(const PoolWindows& g, const float* map, Index oh, Index ow, F f) {
  const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow), h_end = g.rows.end(oh);
  for (Index h = g.rows.begin(oh); h < h_end; ++h)
    for (Index w = w_begin; w < w_end; ++w) f(g.place(oh, ow, h, w), map[h * g.cols.size + w]);
}

/// y = the largest of each window; picked = its place there (the first, of equal ones).
template <class Place>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y, Place* picked) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    Index best = g.first_place(oh, ow);
    float largest = map[g.rows.begin(oh) * g.cols.size + g.cols.begin(ow)];
    for_each_pixel(g, map, oh, ow, [&](Index place, float value) {
      best = value > largest ? place : best;
      largest = value > largest ? value : largest;
    });
    y[g.at(p, oh, ow)] = largest;
    picked[g.at(p, oh, ow)] = static_cast<Place>(best);
  });
}

/// index = h * W + w of the picked pixels, for `lanes` channels side by side.
template <class Place>
void pool_indices(Context& ctx, const PoolWindows& windows, Index lanes, const Place* picked,
                  float* index) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows * lanes},
               [=, g = windows] KERNEL(Index p, Index oh, Index i) {
    const Index o = g.at(p, oh, 0) * lanes + i;
    const PoolPixel pixel = g.pixel(oh, i / lanes, picked[o]);
    index[o] = static_cast<float>(pixel.h * g.cols.size + pixel.w);
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

/// y = an x drawn from each window with probability proportional to it; picked = its place.
template <class Place>
void pool_draw(Context& ctx, const PoolWindows& windows, Random random, const float* x, float* y,
               Place* picked) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    float sum = 0;
    for_each_pixel(g, map, oh, ow, [&](Index, float value) { sum += value; });
    const Index o = g.at(p, oh, ow);
    const float mark = random.now().uniform(o) * sum;
    auto pick = static_cast<std::uint32_t>(g.first_place(oh, ow));
    float below = 0;  // sum of the pixels before this one
    for_each_pixel(g, map, oh, ow, [&](Index place, float value) {
      if (value > 0 && below <= mark) pick = static_cast<std::uint32_t>(place);
      below += value;
    });
    const PoolPixel pixel = g.pixel(oh, ow, pick);
    y[o] = map[pixel.h * g.cols.size + pixel.w];
    picked[o] = static_cast<Place>(pick);
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

  /// Of row h + r, pixel w + i. A GPU's compiler has to see that there is but one, or it would keep
  /// the tile in memory.
  HOST_DEVICE float& sum(Index r, Index i) {
    return sums[kRows * kStrip == 1 ? 0 : r * kStrip + i];
  }
};

/// dx = what the windows send to the pixels that they hold, summed per pixel: send(g, oh, ow, tile)
/// adds what window (oh, ow) sends to the pixels of `tile`.
template <class Send>
void gather(Context& ctx, const PoolWindows& windows, float* dx, Send send) {
  const Index bands = (windows.rows.size + PoolTile::kRows - 1) / PoolTile::kRows;
  parallel_for(ctx, {windows.planes, bands, strips(windows.cols.size)},
               PoolTile::kRows * std::min(windows.cols.size, kStrip),
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
      for (Index i = 0; i < width; ++i) pixels[r * g.cols.size + i] = tile.sum(r, i);
  });
}

/// All of dy goes to the picked pixel.
template <class Place>
struct SendToPicked {
  const float* dy;
  const Place* picked;

  HOST_DEVICE void operator()(const PoolWindows& g, Index oh, Index ow, PoolTile& tile) const {
    const Index o = g.at(tile.p, oh, ow);
    const PoolPixel pixel = g.pixel(oh, ow, picked[o]);
    const Index r = pixel.h - tile.h, i = pixel.w - tile.w;
    if (r >= 0 && r < PoolTile::kRows && i >= 0 && i < kStrip) tile.sum(r, i) += dy[o];
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
      for (Index i = i_begin < 0 ? 0 : i_begin; i < i_end && i < kStrip; ++i)
        tile.sum(r, i) += share;
  }
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
