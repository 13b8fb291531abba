#include "layers/convolution/winograd/winograd_weights.hpp"

namespace doppio {

namespace {

constexpr Index kMaxLanes = 16;
constexpr Index kMaxTaps = 25;  // of a 5 x 5 kernel

/// kernel x kernel blocks of channels, dense.
struct KernelPatch {
  explicit KernelPatch(const WinogradMaps& maps) {
    for (Index i = 0; i < maps.kernel; ++i) {
      row[i] = i * maps.kernel * maps.lanes;
      column[i] = i * maps.lanes;
    }
  }
  operator WinogradPatch() const { return {row, column}; }
  Index row[5], column[5];
};

}  // namespace

void transform_weights(const WinogradPass& pass, const float* weight, bool backward, float* u) {
  const Index lanes = pass.maps.lanes, taps = pass.maps.kernel * pass.maps.kernel;
  const Index K = pass.depth, N = pass.width, plane = weights_plane(pass);
  const Index o_stride = (backward ? 1 : K) * taps, c_stride = (backward ? N : 1) * taps;
  const KernelPatch patch(pass.maps);
#pragma omp parallel for collapse(2) schedule(static)
  for (Index g = 0; g < pass.maps.group; ++g)
    for (Index i = 0; i < panel_count(pass); ++i) {
      const WinogradPanel p = panel_at(pass, i);
      const float* from = weight + g * K * N * taps + p.first * o_stride;
      float* to = u + g * pass.points * plane + p.first * K;
      for (Index c = 0; c < K; ++c)
        for (Index h = 0; h < p.blocks; ++h, to += lanes) {
          float block[kMaxTaps * kMaxLanes];
          for (Index lane = 0; lane < lanes; ++lane) {
            const float* one = from + (h * lanes + lane) * o_stride + c * c_stride;
            for (Index t = 0; t < taps; ++t)
              block[t * lanes + lane] = one[backward ? taps - 1 - t : t];
          }
          pass.transforms->filter(block, nullptr, patch, to, plane);
        }
    }
}

void pair_weights(const WinogradPass& pass, const WinogradKernels& kernels, float* u) {
  if (!kernels.pair_rows) return;
  const Index plane = weights_plane(pass), matrices = pass.maps.group * pass.points;
#pragma omp parallel for schedule(static)
  for (Index i = 0; i < matrices; ++i) {
    float* const matrix = u + i * plane;
    for (Index j = 0; j < panel_count(pass); ++j) {
      const WinogradPanel p = panel_at(pass, j);
      pair_panel(pass, kernels, p, pass.depth, matrix);
    }
  }
}

void add_weight_gradient(const WinogradPass& pass, const float* s, float* dweight) {
  const Index lanes = pass.maps.lanes, taps = pass.maps.kernel * pass.maps.kernel;
  const Index K = pass.depth, N = pass.width, plane = weights_plane(pass);
  const KernelPatch patch(pass.maps);
#pragma omp parallel for collapse(2) schedule(static)
  for (Index g = 0; g < pass.maps.group; ++g)
    for (Index i = 0; i < panel_count(pass); ++i) {
      const WinogradPanel p = panel_at(pass, i);
      const float* from = s + g * pass.points * plane + p.first * K;
      float* to = dweight + (g * N + p.first) * K * taps;
      for (Index c = 0; c < K; ++c)
        for (Index h = 0; h < p.blocks; ++h, from += lanes) {
          float block[kMaxTaps * kMaxLanes];
          pass.transforms->filter_gradient(from, plane, nullptr, false, patch, block);
          for (Index lane = 0; lane < lanes; ++lane) {
            float* one = to + ((h * lanes + lane) * K + c) * taps;
            for (Index t = 0; t < taps; ++t) one[t] += block[t * lanes + lane];
          }
        }
    }
}

}  // namespace doppio
