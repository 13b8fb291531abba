#include "layers/convolution/winograd/winograd.hpp"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "layers/convolution/winograd/winograd_weights.hpp"

namespace doppio {

namespace {

/// Transforms a group's channels of x in one tile to v[point, channel].
void transform_data(const WinogradPass& pass, const WinogradTile& tile, Index group, const float* x,
                    const float* mask, float* v, Index plane) {
  const Index blocks = pass.depth / pass.maps.lanes, map = pass.maps.in_map();
  Index from = tile.in_image + group * blocks * map;
  for (Index b = 0; b < blocks; ++b, from += map, v += pass.maps.lanes)
    pass.transforms->data(x + from, mask ? mask + from : nullptr, tile.in, v, plane);
}

/// Transforms a group's channels of dy in one tile, the t-th of `count`, to w[point, panel, tile,
/// channel].
void transform_gradient(const WinogradPass& pass, const WinogradTile& tile, Index group, Index t,
                        Index count, const float* dy, const float* y, float* w, Index plane) {
  const Index lanes = pass.maps.lanes, map = pass.maps.out_map();
  Index from = tile.out_image + group * pass.width / lanes * map;
  for (Index i = 0; i < panel_count(pass); ++i) {
    const WinogradPanel p = panel_at(pass, i);
    float* to = w + p.first * count + t * p.blocks * lanes;
    for (Index h = 0; h < p.blocks; ++h, from += map, to += lanes)
      pass.transforms->gradient(dy + from, y ? y + from : nullptr, tile.out, to, plane);
  }
}

/// Adds the sums of dy over `count` transformed tiles, w[point, tile, channel], to sums[channels].
void add_totals(const WinogradPass& pass, const float* w, Index plane, Index count, Index channels,
                double* sums) {
  const Index side = pass.transforms->points();
  const float* total = pass.transforms->total;
  for (Index point = 0; point < side * side; ++point) {
    const double factor = double{total[point / side]} * total[point % side];
    if (factor == 0) continue;
    const float* from = w + point * plane;
    for (Index t = 0; t < count; ++t)
      for (Index o = 0; o < channels; ++o) sums[o] += factor * *from++;
  }
}

/// How convolve() divides its tiles among threads: evenly, in blocks large enough to amortise
/// reading the weights.
struct TileBlocks {
  explicit TileBlocks(const WinogradPass& pass) {
    constexpr Index kMaxTiles = 48, kProductFloats = 1 << 17;
    const Index all = pass.tiling.count(), threads = omp_get_max_threads();
    blocks = ceil_div(all, kMaxTiles);
    while (blocks * pass.maps.group % threads != 0 && blocks < all) ++blocks;
    tiles = ceil_div(all, blocks);
    blocks = ceil_div(all, tiles);
    const Index panel_floats = tiles * 2 * pass.maps.lanes;
    panels = std::clamp<Index>(kProductFloats / (pass.points * panel_floats), 1, panel_count(pass));
    v_plane = winograd_plane(tiles * pass.depth);
    m_plane = winograd_plane(panels * panel_floats);
  }
  Index scratch(const WinogradPass& pass) const { return pass.points * (v_plane + m_plane); }

  Index tiles, blocks;     // tiles per block; blocks per group
  Index panels;            // multiplied before they are transformed back
  Index v_plane, m_plane;  // floats per matrix of transformed x, y
};

Index convolve_scratch(const WinogradPass& pass) {
  return weights_size(pass) + omp_get_max_threads() * TileBlocks(pass).scratch(pass);
}

/// Returns how many tiles backward_params() sums at a time: enough to make the transformed tiles
/// about as large as the sums. It depends only on the geometry, and so does the order of the sums.
Index chunk(const WinogradPass& pass) {
  const Index tiles = pass.tiling.count();
  const Index most =
      std::clamp<Index>(pass.depth * pass.width / (pass.depth + pass.width), 64, 256);
  return ceil_div(tiles, ceil_div(tiles, most));
}

}  // namespace

WinogradConvolution::WinogradConvolution(const ConvolutionGeometry& g,
                                         const WinogradKernels& kernels)
    : WinogradConvolution(winograd_forward(g, kernels), winograd_backward_data(g, kernels),
                          winograd_backward_params(g, kernels), kernels) {}

WinogradConvolution::WinogradConvolution(WinogradPass forward, WinogradPass data,
                                         WinogradPass params, const WinogradKernels& kernels)
    : kernels_(kernels),
      forward_(std::move(forward)),
      data_(std::move(data)),
      params_(std::move(params)) {}

Index WinogradConvolution::forward_scratch() const { return convolve_scratch(forward_); }
Index WinogradConvolution::backward_data_scratch() const { return convolve_scratch(data_); }
Index WinogradConvolution::backward_params_scratch() const {
  const Index n = chunk(params_);
  return weights_size(params_) +
         params_.points * (winograd_plane(n * params_.depth) + winograd_plane(n * params_.width));
}

void WinogradConvolution::forward(const float* x, const float* weight, const float* bias, bool relu,
                                  float* y, float* scratch) const {
  transform(weight, scratch);
  forward_with(scratch, x, bias, relu, y, scratch + transformed_size());
}

Index WinogradConvolution::transformed_size() const { return weights_size(forward_); }

void WinogradConvolution::transform(const float* weight, float* transformed) const {
  transform_weights(forward_, weight, false, transformed);
  pair_weights(forward_, kernels_, transformed);
}

void WinogradConvolution::forward_with(const float* transformed, const float* x, const float* bias,
                                       bool relu, float* y, float* scratch) const {
  convolve(forward_, x, nullptr, transformed, bias, relu, y, scratch);
}

void WinogradConvolution::backward_data(const float* dy, const float* y, const float* weight,
                                        float* dx, float* scratch) const {
  transform_weights(data_, weight, true, scratch);
  pair_weights(data_, kernels_, scratch);
  convolve(data_, dy, y, scratch, nullptr, false, dx, scratch + weights_size(data_));
}

void WinogradConvolution::backward_params(const float* x, const float* dy, const float* y,
                                          float* dweight, float* dbias, float* scratch) const {
  std::vector<double> bias_sums(static_cast<std::size_t>(params_.maps.out_channels));
  sum_products(x, dy, y, dweight != nullptr, scratch, scratch + weights_size(params_),
               dbias ? bias_sums.data() : nullptr);
  if (dweight) add_weight_gradient(params_, scratch, dweight);
  if (dbias)
    for (const double sum : bias_sums) *dbias++ += static_cast<float>(sum);
}

/// Each thread runs all three steps on a block of tiles, so that its transformed values stay in its
/// cache.
void WinogradConvolution::convolve(const WinogradPass& pass, const float* x, const float* mask,
                                   const float* u, const float* bias, bool relu, float* y,
                                   float* scratch) const {
  const TileBlocks divided(pass);
  const Index lanes = pass.maps.lanes, K = pass.depth, map = pass.maps.out_map();
  const Index depth = kernels_.words(K);
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (Index g = 0; g < pass.maps.group; ++g)
    for (Index block = 0; block < divided.blocks; ++block) {
      float* v = scratch + omp_get_thread_num() * divided.scratch(pass);  // [point, tile, c]
      float* m = v + pass.points * divided.v_plane;                       // [point, panel, tile, o]
      const Index first = block * divided.tiles;
      const Index count = std::min(divided.tiles, pass.tiling.count() - first);
      for (Index t = 0; t < count; ++t)
        transform_data(pass, pass.tiling.locate(first + t), g, x, mask, v + t * K, divided.v_plane);
      if (kernels_.pair_columns)
        for (Index point = 0; point < pass.points; ++point)
          for (Index t = 0; t < count; ++t) {
            float* row = v + point * divided.v_plane + t * K;
            kernels_.pair_columns(row, K, row);
          }
      for (Index begin = 0; begin < panel_count(pass); begin += divided.panels) {
        const Index end = std::min(begin + divided.panels, panel_count(pass));
        const Index origin = panel_at(pass, begin).first;
        for (Index point = 0; point < pass.points; ++point)
          for (Index i = begin; i < end; ++i) {
            const WinogradPanel p = panel_at(pass, i);
            kernels_.multiply(
                {v + point * divided.v_plane, K, false,
                 u + (g * pass.points + point) * weights_plane(pass) + p.first * depth,
                 m + point * divided.m_plane + (p.first - origin) * count, count, depth, p.blocks,
                 false});
          }
        for (Index t = 0; t < count; ++t) {
          const WinogradTile tile = pass.tiling.locate(first + t);
          for (Index i = begin; i < end; ++i) {
            const WinogradPanel p = panel_at(pass, i);
            const float* from = m + (p.first - origin) * count + t * p.blocks * lanes;
            for (Index h = 0; h < p.blocks; ++h, from += lanes) {
              const Index o = g * pass.width + p.first + h * lanes;
              pass.transforms->output(from, divided.m_plane, bias ? bias + o : nullptr, relu,
                                      tile.out, y + tile.out_image + o / lanes * map);
            }
          }
        }
      }
    }
}

/// For each chunk of tiles, all threads transform x and dy; then each multiplies for some of the
/// points, so that no two add to the same sum.
void WinogradConvolution::sum_products(const float* x, const float* dy, const float* y,
                                       bool weights_wanted, float* s, float* scratch,
                                       double* bias_sums) const {
  const WinogradPass& pass = params_;
  const Index K = pass.depth, N = pass.width, n = chunk(pass), tiles = pass.tiling.count();
  const Index v_plane = winograd_plane(n * K), w_plane = winograd_plane(n * N);
  float* const v = scratch;                    // of x: [point, tile, c]
  float* const w = v + pass.points * v_plane;  // of dy: [point, panel, tile, o]
#pragma omp parallel
  for (Index g = 0; g < pass.maps.group; ++g)
    for (Index first = 0; first < tiles; first += n) {
      const Index count = std::min(n, tiles - first), depth = kernels_.words(count);
#pragma omp for schedule(static)
      for (Index t = 0; t < count; ++t) {
        const WinogradTile tile = pass.tiling.locate(first + t);
        if (weights_wanted) transform_data(pass, tile, g, x, nullptr, v + t * K, v_plane);
        transform_gradient(pass, tile, g, t, count, dy, y, w, w_plane);
      }
      if (bias_sums) {
#pragma omp for schedule(static)
        for (Index i = 0; i < panel_count(pass); ++i) {
          const WinogradPanel p = panel_at(pass, i);
          add_totals(pass, w + p.first * count, w_plane, count, p.blocks * pass.maps.lanes,
                     bias_sums + g * N + p.first);
        }
      }
      if (!weights_wanted) continue;
#pragma omp for schedule(static)
      for (Index point = 0; point < pass.points; ++point) {
        float *const left = v + point * v_plane, *const right = w + point * w_plane;
        if (kernels_.pair_rows)
          for (Index t = 0; t < count; t += 2)
            kernels_.pair_rows(left + t * K, t + 1 < count ? left + (t + 1) * K : nullptr, K,
                               left + t / 2 * K);
        for (Index i = 0; i < panel_count(pass); ++i) {
          const WinogradPanel p = panel_at(pass, i);
          if (kernels_.pair_rows) pair_panel(pass, kernels_, p, count, right);
          kernels_.multiply({left, K, true, right + p.first * depth,
                             s + (g * pass.points + point) * weights_plane(pass) + p.first * K, K,
                             depth, p.blocks, first > 0});
        }
      }
    }
}

}  // namespace doppio
