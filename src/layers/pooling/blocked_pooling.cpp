#include "layers/pooling/blocked_pooling.hpp"

#include "doppio/tensor.hpp"
#include "math/lanes.hpp"

namespace doppio {

namespace {

/// Asks for what the window below will read in its row that corresponds to row h, up to pixel
/// w_end - 1: the rows that windows read in turns are too many for the CPU to foresee.
template <class Floats>
void prefetch_below(const PoolWindows& g, const Floats* map, Index h, Index w_end) {
  __builtin_prefetch(map + (h + g.rows.stride) * g.cols.size + w_end - 1);
}

template <Index B>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y,
              std::uint8_t* picked) {
  using Floats = typename Lanes<B>::Floats;
  using Ints = typename Lanes<B>::Ints;
  parallel_for(ctx, {windows.planes, windows.rows.windows, 1}, windows.cols.windows * B,
               [=, g = windows](Index p, Index oh, Index) {
    const auto* map = reinterpret_cast<const Floats*>(g.map(x, p * B));
    const Index h_begin = g.rows.begin(oh), h_end = g.rows.end(oh);
    for (Index ow = 0; ow < g.cols.windows; ++ow) {
      const Index w_begin = g.cols.begin(ow), w_end = g.cols.end(ow), o = g.at(p, oh, ow);
      Floats largest = map[h_begin * g.cols.size + w_begin];
      Ints best = Ints{} + static_cast<std::int32_t>(g.place(oh, ow, h_begin, w_begin));
      for (Index h = h_begin; h < h_end; ++h) {
        prefetch_below(g, map, h, w_end);
        for (Index w = w_begin; w < w_end; ++w) {
          const Floats value = map[h * g.cols.size + w];
          const Ints larger = value > largest;
          const Ints here = Ints{} + static_cast<std::int32_t>(g.place(oh, ow, h, w));
          largest = larger ? value : largest;
          best = larger ? here : best;
        }
      }
      reinterpret_cast<Floats*>(y)[o] = largest;
      narrow<B>(best, picked + o * B);
    }
  });
}

template <Index B>
void pool_average(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  using Floats = typename Lanes<B>::Floats;
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

/// What one window sends to its pixels: all of dy to the picked one.
template <Index B>
struct ToPicked {
  const float* dy;
  const std::uint8_t* picked;

  void add(const PoolWindows& g, Index o, Index oh, Index ow, Index h,
           typename Lanes<B>::Floats* row) const {
    using Ints = typename Lanes<B>::Ints;
    using Floats = typename Lanes<B>::Floats;
    const Floats all = reinterpret_cast<const Floats*>(dy)[o], none = {};
    Ints pick;
    widen<B>(picked + o * B, pick);
    const Index w_end = g.cols.end(ow);
    for (Index w = g.cols.begin(ow); w < w_end; ++w) {
      const Ints here = pick == static_cast<std::int32_t>(g.place(oh, ow, h, w));
      row[w] += here ? all : none;
    }
  }
};

/// The same share of dy to each.
template <Index B>
struct Shares {
  const float* dy;

  void add(const PoolWindows& g, Index o, Index oh, Index ow, Index,
           typename Lanes<B>::Floats* row) const {
    using Floats = typename Lanes<B>::Floats;
    const Floats share = reinterpret_cast<const Floats*>(dy)[o] / g.area(oh, ow);
    const Index w_end = g.cols.end(ow);
    for (Index w = g.cols.begin(ow); w < w_end; ++w) row[w] += share;
  }
};

/// dx = what the windows send to the pixels that they hold; each work item gathers a row of pixels.
template <Index B, class Send>
void gather(Context& ctx, const PoolWindows& windows, float* dx, Send send) {
  using Floats = typename Lanes<B>::Floats;
  parallel_for(ctx, {windows.planes, windows.rows.size, 1}, windows.cols.size * B,
               [=, g = windows](Index p, Index h, Index) {
    const Index W = g.cols.size;
    Floats* row = reinterpret_cast<Floats*>(dx) + (p * g.rows.size + h) * W;
    for (Index w = 0; w < W; ++w) row[w] = Floats{};
    const Index last = g.rows.last_window(h);
    for (Index oh = g.rows.first_window(h); oh <= last; ++oh)
      for (Index ow = 0; ow < g.cols.windows; ++ow) send.add(g, g.at(p, oh, ow), oh, ow, h, row);
  });
}

}  // namespace

void pool_max_blocked(Context& ctx, const PoolWindows& windows, const float* x, float* y,
                      std::uint8_t* picked) {
  channel_block() == 16 ? pool_max<16>(ctx, windows, x, y, picked)
                        : pool_max<8>(ctx, windows, x, y, picked);
}

void pool_average_blocked(Context& ctx, const PoolWindows& windows, const float* x, float* y) {
  channel_block() == 16 ? pool_average<16>(ctx, windows, x, y)
                        : pool_average<8>(ctx, windows, x, y);
}

void send_to_picked_blocked(Context& ctx, const PoolWindows& windows, const float* dy,
                            const std::uint8_t* picked, float* dx) {
  channel_block() == 16 ? gather<16>(ctx, windows, dx, ToPicked<16>{dy, picked})
                        : gather<8>(ctx, windows, dx, ToPicked<8>{dy, picked});
}

void send_shares_blocked(Context& ctx, const PoolWindows& windows, const float* dy, float* dx) {
  channel_block() == 16 ? gather<16>(ctx, windows, dx, Shares<16>{dy})
                        : gather<8>(ctx, windows, dx, Shares<8>{dy});
}

}  // namespace doppio
