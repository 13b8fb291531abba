#include "layers/pooling/tiled_pooling.hpp"

#include <algorithm>

namespace doppio {

namespace {

bool tiles_axis(const PoolAxis& a) {
  return a.pad == 0 && a.stride == a.kernel && a.windows * a.kernel <= a.size;
}

constexpr Index kBuffer = 2048;  // values in the buffers of one work item

/// Some rows of windows, which together fill the buffers: a single row would be too short for the
/// loops over it to be fast.
struct Band {
  Index plane, first, rows;  ///< rows of windows
};

template <class F>
void for_each_band(Context& ctx, const PoolWindows& windows, F f) {
  const Index pixels = windows.cols.windows * windows.cols.kernel;  // of a row of windows
  const Index high = std::min(kBuffer / pixels, windows.rows.windows);
  const Index bands = (windows.rows.windows + high - 1) / high;
  parallel_for(ctx, {windows.planes, bands, 1}, high * pixels * windows.rows.kernel,
               [=, rows = windows.rows.windows](Index p, Index band, Index) {
    f(Band{p, band * high, std::min(high, rows - band * high)});
  });
}

/// First the largest of each column of a window, then the largest of these.
template <Index K>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y,
              std::uint8_t* picked) {
  for_each_band(ctx, windows, [=, g = windows](const Band& band) {
    const Index W = g.cols.size, width = g.cols.windows * K, n = band.rows * g.cols.windows;
    float columns[kBuffer];
    std::int32_t places[kBuffer], winners[kBuffer / K];
    for (Index r = 0; r < band.rows; ++r) {
      const float* pixels = g.map(x, band.plane) + (band.first + r) * K * W;
      for (Index w = 0; w < width; ++w) {
        float largest = pixels[w];
        std::int32_t place = 0;
        for (Index k = 1; k < K; ++k) {
          const float value = pixels[k * W + w];
          place = value > largest ? static_cast<std::int32_t>(k * K) : place;
          largest = value > largest ? value : largest;
        }
        columns[r * width + w] = largest;
        places[r * width + w] = place;
      }
    }
    const Index first = g.at(band.plane, band.first, 0);
    float* top = y + first;
    for (Index o = 0; o < n; ++o) {
      float largest = columns[o * K];
      std::int32_t place = places[o * K];
      for (Index k = 1; k < K; ++k) {
        const float value = columns[o * K + k];
        const auto here = static_cast<std::int32_t>(places[o * K + k] + k);
        const bool better = (value > largest) | ((value == largest) & (here < place));
        largest = better ? value : largest;
        place = better ? here : place;
      }
      top[o] = largest;
      winners[o] = place;
    }
    for (Index o = 0; o < n; ++o) picked[first + o] = static_cast<std::uint8_t>(winners[o]);
  });
}

template <Index K>
void send_to_picked(Context& ctx, const PoolWindows& windows, const float* dy,
                    const std::uint8_t* picked, float* dx) {
  for_each_band(ctx, windows, [=, g = windows](const Band& band) {
    const Index W = g.cols.size, width = g.cols.windows * K, n = band.rows * g.cols.windows;
    const Index first = g.at(band.plane, band.first, 0);
    float pixels[kBuffer];
    std::int32_t places[kBuffer];
    for (Index o = 0; o < n; ++o) places[o] = picked[first + o];
    for (Index kh = 0; kh < K; ++kh) {  // one row of each window at a time
      for (Index o = 0; o < n; ++o)
        for (Index kw = 0; kw < K; ++kw)
          pixels[o * K + kw] = places[o] == kh * K + kw ? dy[first + o] : 0;
      float* rows = dx + (band.plane * g.rows.size + band.first * K + kh) * W;
      for (Index r = 0; r < band.rows; ++r)
        std::copy_n(pixels + r * width, width, rows + r * K * W);
    }
  });
}

/// Pixels behind the last window of their row or column belong to none.
void clear_rest(Context& ctx, const PoolWindows& windows, float* dx) {
  const Index rows = windows.rows.windows * windows.rows.kernel;
  const Index cols = windows.cols.windows * windows.cols.kernel;
  if (rows == windows.rows.size && cols == windows.cols.size) return;
  parallel_for(ctx, {windows.planes, windows.rows.size, 1}, windows.cols.size,
               [=, H = windows.rows.size, W = windows.cols.size](Index p, Index h, Index) {
    float* row = dx + (p * H + h) * W;
    for (Index w = h < rows ? cols : 0; w < W; ++w) row[w] = 0;
  });
}

}  // namespace

bool tiles_map(const PoolWindows& windows) {
  const Index K = windows.rows.kernel;
  return (K == 2 || K == 3) && windows.cols.kernel == K && tiles_axis(windows.rows) &&
         tiles_axis(windows.cols) && windows.cols.windows * K <= kBuffer;
}

void pool_max_tiled(Context& ctx, const PoolWindows& windows, const float* x, float* y,
                    std::uint8_t* picked) {
  windows.rows.kernel == 2 ? pool_max<2>(ctx, windows, x, y, picked)
                           : pool_max<3>(ctx, windows, x, y, picked);
}

void send_to_picked_tiled(Context& ctx, const PoolWindows& windows, const float* dy,
                          const std::uint8_t* picked, float* dx) {
  windows.rows.kernel == 2 ? send_to_picked<2>(ctx, windows, dy, picked, dx)
                           : send_to_picked<3>(ctx, windows, dy, picked, dx);
  clear_rest(ctx, windows, dx);
}

}  // namespace doppio
