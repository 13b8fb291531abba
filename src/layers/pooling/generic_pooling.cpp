#include <algorithm>
#include <cstdint>

#include "layers/pooling/engine.hpp"
#include "math/batch_draws.hpp"
#include "math/philox.hpp"
#include "math/strips.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// Calls f(index, value) for every pixel of window (oh, ow) of one map.
template <class F>
HOST_DEVICE void for_each_pixel(const PoolWindows& g, const float* map, Index oh, Index ow, F f) {
  const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow), h_end = g.rows.end(oh);
  for (Index h = g.rows.begin(oh); h < h_end; ++h)
    for (Index w = w_begin; w < w_end; ++w) f(g.offset(oh, ow, h, w), map[h * g.cols.size + w]);
}

/// y = the maximum of each window; argmax = its index there (the first of equal values).
template <class Place>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y, Place* argmax) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    Index best = g.first_offset(oh, ow);
    float largest = map[g.rows.begin(oh) * g.cols.size + g.cols.begin(ow)];
    for_each_pixel(g, map, oh, ow, [&](Index offset, float value) {
      best = value > largest ? offset : best;
      largest = value > largest ? value : largest;
    });
    y[g.at(p, oh, ow)] = largest;
    argmax[g.at(p, oh, ow)] = static_cast<Place>(best);
  });
}

/// index = h * W + w of the maxima, for `lanes` contiguous channels.
template <class Place>
void pool_indices(Context& ctx, const PoolWindows& windows, Index lanes, const Place* argmax,
                  float* index) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows * lanes},
               [=, g = windows] KERNEL(Index p, Index oh, Index i) {
    const Index o = g.at(p, oh, 0) * lanes + i;
    const PoolPixel pixel = g.pixel(oh, i / lanes, argmax[o]);
    index[o] = static_cast<float>(pixel.h * g.cols.size + pixel.w);
  });
}

void pool_average(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    float sum = 0;
    for_each_pixel(g, g.map(x, p), oh, ow, [&](Index, float value) { sum += value; });
    y[g.at(p, oh, ow)] = sum / g.area(oh, ow);
  });
}

/// y = an x drawn from each window with probability proportional to it; argmax = its index.
template <class Place>
void pool_draw(Context& ctx, const PoolWindows& windows, Random random, const BatchDraws& numbers,
               const float* x, float* y, Place* argmax) {
  parallel_for(ctx, {windows.planes, windows.rows.windows, windows.cols.windows},
               [=, g = windows] KERNEL(Index p, Index oh, Index ow) {
    const float* map = g.map(x, p);
    float sum = 0;
    for_each_pixel(g, map, oh, ow, [&](Index, float value) { sum += value; });
    const Index o = g.at(p, oh, ow);
    const float mark = random.now().uniform(numbers(o)) * sum;
    auto drawn = static_cast<std::uint32_t>(g.first_offset(oh, ow));
    float below = 0;  // sum of the pixels before this one
    for_each_pixel(g, map, oh, ow, [&](Index offset, float value) {
      if (value > 0 && below <= mark) drawn = static_cast<std::uint32_t>(offset);
      below += value;
    });
    const PoolPixel pixel = g.pixel(oh, ow, drawn);
    y[o] = map[pixel.h * g.cols.size + pixel.w];
    argmax[o] = static_cast<Place>(drawn);
  });
}

/// y = sum(x^2) / sum(x), the expected value of pool_draw(); 0 where nothing is positive.
void pool_expected(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
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

/// The gradient of a tile of pixels, computed by one work item of the backward pass. A GPU's thread
/// computes one pixel; on the CPU a window's dy is added to a larger tile at once.
struct PoolTile {
  static constexpr Index kRows = kDevice == Device::cuda ? 1 : 16;

  Index p, h, w;  ///< map and first pixel
  float sums[kRows * kStrip] = {};

  /// Sum of row h + r, pixel w + i. A constant index keeps the only sum of a GPU's tile in a
  /// register.
  HOST_DEVICE float& sum(Index r, Index i) {
    return sums[kRows * kStrip == 1 ? 0 : r * kStrip + i];
  }
};

/// dx = the sum per pixel of the gradients of the windows that contain it: add(g, oh, ow, tile)
/// adds the gradient of window (oh, ow) to the pixels of `tile`.
template <class Add>
void gather(Context& ctx, const PoolWindows& windows, float* dx, Add add) {
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
      for (Index ow = ow_first; ow <= ow_last; ++ow) add(g, oh, ow, tile);
    float* pixels = dx + (p * g.rows.size + tile.h) * g.cols.size + tile.w;
    for (Index r = 0; r < height; ++r)
      for (Index i = 0; i < width; ++i) pixels[r * g.cols.size + i] = tile.sum(r, i);
  });
}

/// All of dy goes to the pixel in argmax.
template <class Place>
struct MaxGradient {
  const float* dy;
  const Place* argmax;

  HOST_DEVICE void operator()(const PoolWindows& g, Index oh, Index ow, PoolTile& tile) const {
    const Index o = g.at(tile.p, oh, ow);
    const PoolPixel pixel = g.pixel(oh, ow, argmax[o]);
    const Index r = pixel.h - tile.h, i = pixel.w - tile.w;
    if (r >= 0 && r < PoolTile::kRows && i >= 0 && i < kStrip) tile.sum(r, i) += dy[o];
  }
};

/// Every pixel of the window gets the same share of dy.
struct AverageGradient {
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

/// Calls run(argmax) with a pointer to the type of its elements.
template <class Run>
void with_argmax(const PoolingGeometry& g, void* argmax, Run run) {
  if (g.argmax_size() == 1)
    run(static_cast<std::uint8_t*>(argmax));
  else
    run(static_cast<std::uint32_t*>(argmax));
}
template <class Run>
void with_argmax(const PoolingGeometry& g, const void* argmax, Run run) {
  with_argmax(g, const_cast<void*>(argmax), [&](const auto* offsets) { run(offsets); });
}

class GenericPooling final : public PoolingEngine {
 public:
  explicit GenericPooling(const PoolingGeometry& geometry) : g_(geometry) {}

  void forward_maps(Context& ctx, Index images, const float* x, float* y,
                    void* argmax) const override {
    const PoolWindows windows = g_.windows(images);
    if (g_.method == PoolingMethod::average) return pool_average(ctx, windows, x, y);
    if (g_.method == PoolingMethod::expected) return pool_expected(ctx, windows, x, y);
    with_argmax(g_, argmax, [&](auto* offsets) {
      if (g_.method == PoolingMethod::max)
        pool_max(ctx, windows, x, y, offsets);
      else
        pool_draw(ctx, windows, {ctx.seed, g_.stream, ctx.pass, ctx.pass_at},
                  {ctx.shard,
                   ctx.part,
                   {images, windows.at(windows.planes, 0, 0) / std::max<Index>(1, images)}},
                  x, y, offsets);
    });
  }

  void backward_maps(Context& ctx, Index images, const float* dy, const void* argmax,
                     float* dx) const override {
    const PoolWindows windows = g_.windows(images);
    if (g_.method == PoolingMethod::average) return gather(ctx, windows, dx, AverageGradient{dy});
    with_argmax(g_, argmax, [&](const auto* offsets) {
      gather(ctx, windows, dx, MaxGradient{dy, offsets});
    });
  }

 private:
  PoolingGeometry g_;
};

}  // namespace

std::unique_ptr<PoolingEngine> make_generic_pooling(const PoolingGeometry& geometry) {
  return std::make_unique<GenericPooling>(geometry);
}

void pooling_indices(Context& ctx, const PoolingGeometry& geometry, Layout layout, Index images,
                     const void* argmax, float* index) {
  with_argmax(geometry, argmax, [&](const auto* offsets) {
    pool_indices(ctx, geometry.windows(images, layout), geometry.lanes(layout), offsets, index);
  });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
