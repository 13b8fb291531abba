#include <algorithm>
#include <cstdint>

#include "layers/pooling/engine.hpp"
#include "math/kernel.hpp"

namespace doppio {

namespace {

bool tiles_axis(const PoolAxis& a) {
  return a.pad == 0 && a.stride == a.kernel && a.windows * a.kernel <= a.size;
}

constexpr Index kBuffer = 2048;  // values in the buffers of one work item

/// Several rows of windows, which together fill the buffers: loops over a single row would be too
/// short to be fast.
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

/// Computes the maximum of each column of a window, then the maximum of these.
template <Index K>
void pool_max(Context& ctx, const PoolWindows& windows, const float* x, float* y,
              std::uint8_t* argmax) {
  for_each_band(ctx, windows, [=, g = windows](const Band& band) {
    const Index W = g.cols.size, width = g.cols.windows * K, n = band.rows * g.cols.windows;
    float columns[kBuffer];
    std::int32_t offsets[kBuffer], winners[kBuffer / K];
    for (Index r = 0; r < band.rows; ++r) {
      const float* pixels = g.map(x, band.plane) + (band.first + r) * K * W;
      for (Index w = 0; w < width; ++w) {
        float largest = pixels[w];
        std::int32_t offset = 0;
        for (Index k = 1; k < K; ++k) {
          const float value = pixels[k * W + w];
          offset = value > largest ? static_cast<std::int32_t>(k * K) : offset;
          largest = value > largest ? value : largest;
        }
        columns[r * width + w] = largest;
        offsets[r * width + w] = offset;
      }
    }
    const Index first = g.at(band.plane, band.first, 0);
    float* top = y + first;
    for (Index o = 0; o < n; ++o) {
      float largest = columns[o * K];
      std::int32_t offset = offsets[o * K];
      for (Index k = 1; k < K; ++k) {
        const float value = columns[o * K + k];
        const auto here = static_cast<std::int32_t>(offsets[o * K + k] + k);
        const bool better = (value > largest) | ((value == largest) & (here < offset));
        largest = better ? value : largest;
        offset = better ? here : offset;
      }
      top[o] = largest;
      winners[o] = offset;
    }
    for (Index o = 0; o < n; ++o) argmax[first + o] = static_cast<std::uint8_t>(winners[o]);
  });
}

template <Index K>
void max_backward(Context& ctx, const PoolWindows& windows, const float* dy,
                  const std::uint8_t* argmax, float* dx) {
  for_each_band(ctx, windows, [=, g = windows](const Band& band) {
    const Index W = g.cols.size, width = g.cols.windows * K, n = band.rows * g.cols.windows;
    const Index first = g.at(band.plane, band.first, 0);
    float pixels[kBuffer];
    std::int32_t offsets[kBuffer];
    for (Index o = 0; o < n; ++o) offsets[o] = argmax[first + o];
    for (Index kh = 0; kh < K; ++kh) {  // one row of each window at a time
      for (Index o = 0; o < n; ++o)
        for (Index kw = 0; kw < K; ++kw)
          pixels[o * K + kw] = offsets[o] == kh * K + kw ? dy[first + o] : 0;
      float* rows = dx + (band.plane * g.rows.size + band.first * K + kh) * W;
      for (Index r = 0; r < band.rows; ++r)
        std::copy_n(pixels + r * width, width, rows + r * K * W);
    }
  });
}

/// Clears the gradient of pixels that belong to no window.
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

class TiledPooling final : public PoolingEngine {
 public:
  explicit TiledPooling(const PoolingGeometry& geometry) : g_(geometry) {}

  void forward_maps(Context& ctx, Index images, const float* x, float* y,
                    void* argmax) const override {
    auto* offsets = static_cast<std::uint8_t*>(argmax);
    g_.rows.kernel == 2 ? pool_max<2>(ctx, g_.windows(images), x, y, offsets)
                        : pool_max<3>(ctx, g_.windows(images), x, y, offsets);
  }

  void backward_maps(Context& ctx, Index images, const float* dy, const void* argmax,
                     float* dx) const override {
    const auto* offsets = static_cast<const std::uint8_t*>(argmax);
    g_.rows.kernel == 2 ? max_backward<2>(ctx, g_.windows(images), dy, offsets, dx)
                        : max_backward<3>(ctx, g_.windows(images), dy, offsets, dx);
    clear_rest(ctx, g_.windows(images), dx);
  }

 private:
  PoolingGeometry g_;
};

}  // namespace

std::string why_not_tiled_pooling(const PoolingGeometry& g) {
  const Index K = g.rows.kernel;
  if (g.method != PoolingMethod::max) return "only MAX is tiled";
  if ((K != 2 && K != 3) || g.cols.kernel != K) return "windows are not 2x2 or 3x3";
  if (!tiles_axis(g.rows) || !tiles_axis(g.cols)) return "windows overlap or leave the map";
  return g.cols.windows * K > kBuffer ? "a row of windows is too long for its buffer" : "";
}

std::unique_ptr<PoolingEngine> make_tiled_pooling(const PoolingGeometry& geometry) {
  return std::make_unique<TiledPooling>(geometry);
}

}  // namespace doppio
