// The body of image_avx2.cpp and image_avx512.cpp, which define DOPPIO_LANES first. Everything is
// in an anonymous namespace: see image_kernels.hpp.
#include "layers/convolution/image/image_kernels.hpp"

#define DOPPIO_UNROLL _Pragma("GCC unroll 32")

namespace doppio {
namespace {

using Index = std::int64_t;

constexpr int kLanes = DOPPIO_LANES;
/// Windows or taps whose sums stay in the 16 or 32 registers.
template <int kBlocks>
constexpr int kWide = (kLanes == 16 ? 24 : 12) / kBlocks;
using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using VecInMemory =
    float __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

inline __attribute__((always_inline)) Vec load(const float* p) {
  return *reinterpret_cast<const VecInMemory*>(p);
}
inline __attribute__((always_inline)) void store(float* p, Vec v) {
  *reinterpret_cast<VecInMemory*>(p) = v;
}

/// Computes kWindows windows of a row, starting at x.
template <int kBlocks, int kWindows>
void forward_some(const ImageRows& rows, const float* x, const float* weight, const float* bias,
                  bool relu, float* y) {
  const Index step = rows.step;
  Vec sum[kWindows][kBlocks];
  DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) {
    const Vec start = bias ? load(bias + b * kLanes) : Vec{};
    DOPPIO_UNROLL for (int w = 0; w < kWindows; ++w) sum[w][b] = start;
  }
  for (Index k = 0; k < rows.taps; ++k, weight += kBlocks * kLanes) {
    const float* const at = x + rows.tap[k];
    Vec factor[kBlocks];
    DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) factor[b] = load(weight + b * kLanes);
    DOPPIO_UNROLL for (int w = 0; w < kWindows; ++w) {
      const Vec value = Vec{} + at[w * step];
      DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) sum[w][b] += value * factor[b];
    }
  }
  DOPPIO_UNROLL for (int w = 0; w < kWindows; ++w) {
    DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) {
      const Vec value = relu ? (sum[w][b] < 0 ? Vec{} : sum[w][b]) : sum[w][b];
      store(y + b * rows.plane + w * kLanes, value);
    }
  }
}

/// As forward_some(), for a number of windows known only at run time, at most kWindows.
template <int kBlocks, int kWindows>
void forward_up_to(Index windows, const ImageRows& rows, const float* x, const float* weight,
                   const float* bias, bool relu, float* y) {
  if constexpr (kWindows > 1)
    if (windows < kWindows)
      return forward_up_to<kBlocks, kWindows - 1>(windows, rows, x, weight, bias, relu, y);
  forward_some<kBlocks, kWindows>(rows, x, weight, bias, relu, y);
}

template <int kBlocks>
void forward_rows(const ImageRows& rows, const float* weight, const float* bias, bool relu,
                  float* y) {
  constexpr int kMaxAtOnce = kWide<kBlocks>;
  for (Index r = 0; r < rows.rows; ++r) {
    Index groups = (rows.windows + kMaxAtOnce - 1) / kMaxAtOnce, done = 0;
    for (; groups > 0; --groups) {  // of nearly equal size
      const Index windows = (rows.windows - done + groups - 1) / groups;
      forward_up_to<kBlocks, kMaxAtOnce>(windows, rows, rows.x + r * rows.down + done * rows.step,
                                         weight, bias, relu,
                                         y + (r * rows.windows + done) * kLanes);
      done += windows;
    }
  }
}

/// Adds to the gradients of kTaps taps, which stay in registers.
template <int kBlocks, int kTaps>
void weights_some(const ImageRows& rows, const Index* tap, const float* dy, float* dweight) {
  const float* x[kTaps];
  Vec sum[kTaps][kBlocks];
  DOPPIO_UNROLL for (int t = 0; t < kTaps; ++t) {
    x[t] = rows.x + tap[t];
    DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) sum[t][b] =
        load(dweight + (t * kBlocks + b) * kLanes);
  }
  for (Index r = 0; r < rows.rows; ++r, dy += rows.windows * kLanes) {
    Index at = r * rows.down;
    for (Index w = 0; w < rows.windows; ++w, at += rows.step) {
      Vec slope[kBlocks];
      DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) slope[b] =
          load(dy + b * rows.plane + w * kLanes);
      DOPPIO_UNROLL for (int t = 0; t < kTaps; ++t) {
        const Vec value = Vec{} + x[t][at];
        DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b) sum[t][b] += value * slope[b];
      }
    }
  }
  DOPPIO_UNROLL for (int t = 0; t < kTaps; ++t) {
    DOPPIO_UNROLL for (int b = 0; b < kBlocks; ++b)
        store(dweight + (t * kBlocks + b) * kLanes, sum[t][b]);
  }
}

template <int kBlocks, int kTaps>
void weights_up_to(Index taps, const ImageRows& rows, const Index* tap, const float* dy,
                   float* dweight) {
  if constexpr (kTaps > 1)
    if (taps < kTaps) return weights_up_to<kBlocks, kTaps - 1>(taps, rows, tap, dy, dweight);
  weights_some<kBlocks, kTaps>(rows, tap, dy, dweight);
}

template <int kBlocks>
void weights_rows(const ImageRows& rows, const float* dy, float* dweight, float* dbias) {
  constexpr int kMaxAtOnce = kWide<kBlocks>;
  Index groups = (rows.taps + kMaxAtOnce - 1) / kMaxAtOnce, done = 0;
  for (; groups > 0; --groups) {
    const Index taps = (rows.taps - done + groups - 1) / groups;
    weights_up_to<kBlocks, kMaxAtOnce>(taps, rows, rows.tap + done, dy,
                                       dweight + done * kBlocks * kLanes);
    done += taps;
  }
  if (!dbias) return;
  for (int b = 0; b < kBlocks; ++b) {
    Vec sum = load(dbias + b * kLanes);
    for (Index i = 0; i < rows.rows * rows.windows; ++i)
      sum += load(dy + b * rows.plane + i * kLanes);
    store(dbias + b * kLanes, sum);
  }
}

void forward(const ImageRows& rows, const float* weight, const float* bias, bool relu, float* y) {
  (rows.blocks == 2 ? forward_rows<2> : forward_rows<1>)(rows, weight, bias, relu, y);
}

void weights(const ImageRows& rows, const float* dy, float* dweight, float* dbias) {
  (rows.blocks == 2 ? weights_rows<2> : weights_rows<1>)(rows, dy, dweight, dbias);
}

constexpr ImageKernels kKernels = {kLanes, forward, weights};

}  // namespace
}  // namespace doppio
