#pragma once
#include <algorithm>

#include "layers/convolution/winograd/winograd_pass.hpp"

namespace doppio {

/// a / b, rounded up.
inline Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// Returns the distance between matrices of `size` floats: an odd number of cache lines, so that
/// the values of one tile, one per matrix, map to different cache sets.
inline Index winograd_plane(Index size) {
  constexpr Index kLine = 16;  // floats of a cache line
  return (ceil_div(size, kLine) | 1) * kLine;
}

/// Two blocks of channels of y that are multiplied together; the last panel may have one block.
struct WinogradPanel {
  Index first, blocks;  // its first channel
};

inline Index panel_count(const WinogradPass& p) { return ceil_div(p.width, 2 * p.maps.lanes); }

inline WinogradPanel panel_at(const WinogradPass& p, Index i) {
  return {i * 2 * p.maps.lanes, std::min<Index>(2, p.width / p.maps.lanes - 2 * i)};
}

/// Floats of weights, or of the sums of their gradients: [group, point, panel, c, o].
inline Index weights_plane(const WinogradPass& p) { return winograd_plane(p.depth * p.width); }
inline Index weights_size(const WinogradPass& p) {
  return p.maps.group * p.points * weights_plane(p);
}

/// Converts a panel's `rows` rows to words, in place: the matrix then has words(rows) rows.
inline void pair_panel(const WinogradPass& pass, const WinogradKernels& kernels,
                       const WinogradPanel& p, Index rows, float* matrix) {
  const Index width = p.blocks * pass.maps.lanes;
  const float* from = matrix + p.first * rows;
  float* to = matrix + p.first * kernels.words(rows);
  for (Index r = 0; r < rows; r += 2, from += 2 * width, to += width)
    kernels.pair_rows(from, r + 1 < rows ? from + width : nullptr, width, to);
}

/// Transforms the weights of outputs o and inputs c. With `backward`, outputs and inputs are
/// swapped and the kernels rotated by 180 degrees.
void transform_weights(const WinogradPass& pass, const float* weight, bool backward, float* u);

/// Converts transformed weights to words: each matrix shrinks in place, panel by panel.
void pair_weights(const WinogradPass& pass, const WinogradKernels& kernels, float* u);

/// Transforms the sums of products back and adds them to dweight.
void add_weight_gradient(const WinogradPass& pass, const float* s, float* dweight);

}  // namespace doppio
