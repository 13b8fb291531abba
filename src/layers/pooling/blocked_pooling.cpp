#include <cstdint>

#include "layers/pooling/engine.hpp"
#include "math/kernel.hpp"
#include "math/lanes.hpp"

namespace doppio {

namespace {

/// Prefetches pixel w_end - 1 of the row that corresponds to row h in the window below: windows
/// read from too many rows for the hardware prefetcher.
template <class Floats>
void prefetch_below(const PoolWindows& g, const Floats* map, Index h, Index w_end) {
  __builtin_prefetch(map + (h + g.rows.stride) * g.cols.size + w_end - 1);
}

template <Index B>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y,
              std::uint8_t* argmax) {
  using Floats = Lanes<B>::Floats;
  using Ints = Lanes<B>::Ints;
  parallel_for(ctx, {windows.planes, windows.rows.windows, 1}, windows.cols.windows * B,
               [=, g = windows](Index p, Index oh, Index) {
    const auto* map = reinterpret_cast<const Floats*>(g.map(x, p * B));
    const Index h_begin = g.rows.begin(oh), h_end = g.rows.end(oh);
    for (Index ow = 0; ow < g.cols.windows; ++ow) {
      const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow), o = g.at(p, oh, ow);
      Floats largest = map[h_begin * g.cols.size + w_begin];
      Ints best = Ints{} + static_cast<std::int32_t>(g.offset(oh, ow, h_begin, w_begin));
      for (Index h = h_begin; h < h_end; ++h) {
        prefetch_below(g, map, h, w_end);
        for (Index w = w_begin; w < w_end; ++w) {
          const Floats value = map[h * g.cols.size + w];
          const Ints larger = value > largest;
          const Ints here = Ints{} + static_cast<std::int32_t>(g.offset(oh, ow, h, w));
          largest = larger ? value : largest;
          best = larger ? here : best;
        }
      }
      reinterpret_cast<Floats*>(y)[o] = largest;
      narrow<B>(best, argmax + o * B);
    }
  });
}

template <Index B>
void pool_average(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  using Floats = Lanes<B>::Floats;
  parallel_for(ctx, {windows.planes, windows.rows.windows, 1}, windows.cols.windows * B,
               [=, g = windows](Index p, Index oh, Index) {
    const auto* map = reinterpret_cast<const Floats*>(g.map(x, p * B));
    const Index h_begin = g.rows.begin(oh), h_end = g.rows.end(oh);
    for (Index ow = 0; ow < g.cols.windows; ++ow) {
      const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow);
      Floats sum = {};
      for (Index h = h_begin; h < h_end; ++h) {
        prefetch_below(g, map, h, w_end);
        for (Index w = w_begin; w < w_end; ++w) sum += map[h * g.cols.size + w];
      }
      reinterpret_cast<Floats*>(y)[g.at(p, oh, ow)] = sum / g.area(oh, ow);
    }
  });
}

/// The gradient of one window: all of dy goes to the largest pixel.
template <Index B>
struct MaxGradient {
  const float* dy;
  const std::uint8_t* argmax;

  void add(const PoolWindows& g, Index o, Index oh, Index ow, Index h,
           Lanes<B>::Floats* row) const {
    using Ints = Lanes<B>::Ints;
    using Floats = Lanes<B>::Floats;
    const Floats all = reinterpret_cast<const Floats*>(dy)[o], none = {};
    Ints largest;
    widen<B>(argmax + o * B, largest);
    const Index w_end = g.cols.end(ow);
    for (Index w = g.cols.begin(ow); w < w_end; ++w) {
      const Ints here = largest == static_cast<std::int32_t>(g.offset(oh, ow, h, w));
      row[w] += here ? all : none;
    }
  }
};

/// Each pixel gets an equal share of dy.
template <Index B>
struct AverageGradient {
  const float* dy;

  void add(const PoolWindows& g, Index o, Index oh, Index ow, Index, Lanes<B>::Floats* row) const {
    using Floats = Lanes<B>::Floats;
    const Floats share = reinterpret_cast<const Floats*>(dy)[o] / g.area(oh, ow);
    const Index w_end = g.cols.end(ow);
    for (Index w = g.cols.begin(ow); w < w_end; ++w) row[w] += share;
  }
};

/// dx = the sum per pixel of the gradients of the windows that contain it; each work item gathers a
/// row of pixels.
template <Index B, class Gradient>
void gather(Context& ctx, const PoolWindows& windows, float* dx, Gradient gradient) {
  using Floats = Lanes<B>::Floats;
  parallel_for(ctx, {windows.planes, windows.rows.size, 1}, windows.cols.size * B,
               [=, g = windows](Index p, Index h, Index) {
    const Index W = g.cols.size;
    Floats* row = reinterpret_cast<Floats*>(dx) + (p * g.rows.size + h) * W;
    for (Index w = 0; w < W; ++w) row[w] = Floats{};
    const Index last = g.rows.last_window(h);
    for (Index oh = g.rows.first_window(h); oh <= last; ++oh)
      for (Index ow = 0; ow < g.cols.windows; ++ow)
        gradient.add(g, g.at(p, oh, ow), oh, ow, h, row);
  });
}

/// y = the pooled x, or dx = the gradient of x, in blocks of B channels.
template <Index B>
void forward(Context& ctx, const PoolingGeometry& g, const PoolWindows& windows, const float* x,
             float* y, void* argmax) {
  if (g.method == PoolingMethod::max)
    pool_max<B>(ctx, windows, x, y, static_cast<std::uint8_t*>(argmax));
  else
    pool_average<B>(ctx, windows, x, y);
}

template <Index B>
void backward(Context& ctx, const PoolingGeometry& g, const PoolWindows& windows, const float* dy,
              const void* argmax, float* dx) {
  if (g.method == PoolingMethod::max)
    gather<B>(ctx, windows, dx, MaxGradient<B>{dy, static_cast<const std::uint8_t*>(argmax)});
  else
    gather<B>(ctx, windows, dx, AverageGradient<B>{dy});
}

class BlockedPooling final : public PoolingEngine {
 public:
  explicit BlockedPooling(const PoolingGeometry& geometry)
      : PoolingEngine(Layout::nchw_blocked), g_(geometry) {}

  void forward_maps(Context& ctx, Index images, const float* x, float* y,
                    void* argmax) const override {
    const PoolWindows windows = g_.windows(images, Layout::nchw_blocked);
    channel_block() == 16 ? doppio::forward<16>(ctx, g_, windows, x, y, argmax)
                          : doppio::forward<8>(ctx, g_, windows, x, y, argmax);
  }

  void backward_maps(Context& ctx, Index images, const float* dy, const void* argmax,
                     float* dx) const override {
    const PoolWindows windows = g_.windows(images, Layout::nchw_blocked);
    channel_block() == 16 ? doppio::backward<16>(ctx, g_, windows, dy, argmax, dx)
                          : doppio::backward<8>(ctx, g_, windows, dy, argmax, dx);
  }

 private:
  PoolingGeometry g_;
};

}  // namespace

std::string why_not_blocked_pooling(const PoolingGeometry& g) {
  if (g.layout != Layout::nchw_blocked) return "the maps are not blocked";
  if (g.method != PoolingMethod::max && g.method != PoolingMethod::average)
    return "it supports only MAX and AVE";
  return g.has_argmax() && g.argmax_size() > 1 ? "windows have more than 256 pixels" : "";
}

std::unique_ptr<PoolingEngine> make_blocked_pooling(const PoolingGeometry& geometry) {
  return std::make_unique<BlockedPooling>(geometry);
}

}  // namespace doppio
