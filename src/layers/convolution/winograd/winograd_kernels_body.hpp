// The body of winograd_avx2.cpp, winograd_avx512.cpp and winograd_bf16_avx512.cpp, which define
// DOPPIO_LANES first, and the last one DOPPIO_BF16. Everything is in an anonymous namespace: see
// winograd_kernels.hpp.
#include "layers/convolution/winograd/winograd_kernels.hpp"
#include "layers/convolution/winograd/winograd_matrices.hpp"

#ifdef DOPPIO_BF16
#include <immintrin.h>
#endif

#define DOPPIO_UNROLL _Pragma("GCC unroll 16")
#define DOPPIO_INLINE inline __attribute__((always_inline))

namespace doppio {
namespace {

using Index = std::int64_t;

constexpr int kLanes = DOPPIO_LANES;
constexpr int kLine = 16;  // floats of a cache line
using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using VecInMemory =
    float __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

DOPPIO_INLINE Vec load(const float* p) { return *reinterpret_cast<const VecInMemory*>(p); }
DOPPIO_INLINE void store(float* p, Vec v) { *reinterpret_cast<VecInMemory*>(p) = v; }

/// y = matrix x. Rows 1 and 2, 3 and 4, ... share their even parts and, up to the sign, their odd
/// parts.
template <int kPoints, int N>
DOPPIO_INLINE void to_points(const float (&matrix)[kPoints][N], const Vec* x, Vec* y) {
  DOPPIO_UNROLL for (int i = 1; i + 1 < kPoints; i += 2) {
    Vec even = {}, odd = {};
    DOPPIO_UNROLL for (int k = 0; k < N; k += 2) even += matrix[i][k] * x[k];
    DOPPIO_UNROLL for (int k = 1; k < N; k += 2) odd += matrix[i][k] * x[k];
    y[i] = even + odd;
    y[i + 1] = even - odd;
  }
  DOPPIO_UNROLL for (int i = 0; i < kPoints; i += kPoints - 1) {
    y[i] = Vec{};
    DOPPIO_UNROLL for (int k = 0; k < N; ++k) {
      if (matrix[i][k] != 0) y[i] += matrix[i][k] * x[k];
    }
  }
}

/// x = matrix^T y.
template <int kPoints, int N>
DOPPIO_INLINE void from_points(const float (&matrix)[kPoints][N], const Vec* y, Vec* x) {
  DOPPIO_UNROLL for (int k = 0; k < N; ++k) {
    x[k] = Vec{};
    DOPPIO_UNROLL for (int i = 0; i < kPoints; i += kPoints - 1) {
      if (matrix[i][k] != 0) x[k] += matrix[i][k] * y[i];
    }
  }
  DOPPIO_UNROLL for (int i = 1; i + 1 < kPoints; i += 2) {
    const Vec even = y[i] + y[i + 1], odd = y[i] - y[i + 1];
    DOPPIO_UNROLL for (int k = 0; k < N; ++k) x[k] += matrix[i][k] * (k % 2 ? odd : even);
  }
}

/// v = matrix x matrix^T, for an N x N patch x.
template <bool kMasked, int kPoints, int N>
DOPPIO_INLINE void spread(const float (&matrix)[kPoints][N], const float* x, const float* mask,
                          WinogradPatch patch, float* v, Index plane) {
  Vec half[N][kPoints];
  for (int i = 0; i < N; ++i) {
    if (patch.row[i] < 0) {
      DOPPIO_UNROLL for (int j = 0; j < kPoints; ++j) half[i][j] = Vec{};
      continue;
    }
    Vec line[N];
    DOPPIO_UNROLL for (int j = 0; j < N; ++j) {
      line[j] = Vec{};
      if (patch.column[j] < 0) continue;
      const Index at = patch.row[i] + patch.column[j];
      line[j] = load(x + at);
      if (kMasked) line[j] = load(mask + at) > 0 ? line[j] : Vec{};
    }
    to_points(matrix, line, half[i]);
  }
  for (int j = 0; j < kPoints; ++j) {
    Vec line[N], points[kPoints];
    DOPPIO_UNROLL for (int i = 0; i < N; ++i) line[i] = half[i][j];
    to_points(matrix, line, points);
    DOPPIO_UNROLL for (int i = 0; i < kPoints; ++i) store(v + (i * kPoints + j) * plane, points[i]);
  }
}

/// y = matrix^T v matrix, an N x N patch.
template <int kPoints, int N>
DOPPIO_INLINE void collect(const float (&matrix)[kPoints][N], const float* v, Index plane,
                           const float* bias, bool relu, WinogradPatch patch, float* y) {
  Vec half[N][kPoints];
  for (int j = 0; j < kPoints; ++j) {
    Vec points[kPoints], line[N];
    DOPPIO_UNROLL for (int i = 0; i < kPoints; ++i) points[i] = load(v + (i * kPoints + j) * plane);
    from_points(matrix, points, line);
    DOPPIO_UNROLL for (int i = 0; i < N; ++i) half[i][j] = line[i];
  }
  const Vec shift = bias ? load(bias) : Vec{};
  for (int i = 0; i < N; ++i) {
    if (patch.row[i] < 0) continue;
    Vec line[N];
    from_points(matrix, half[i], line);
    DOPPIO_UNROLL for (int j = 0; j < N; ++j) {
      if (patch.column[j] < 0) continue;
      Vec value = line[j] + shift;
      if (relu) value = value < 0 ? Vec{} : value;
      store(y + patch.row[i] + patch.column[j], value);
    }
  }
}

template <int M, int R>
struct Transforms {
  static constexpr CookToom<M, R> kMatrices = cook_toom<M, R>();

  static void data(const float* x, const float* mask, WinogradPatch patch, float* v, Index plane) {
    if (mask)
      spread<true>(kMatrices.data, x, mask, patch, v, plane);
    else
      spread<false>(kMatrices.data, x, mask, patch, v, plane);
  }
  static void filter(const float* x, const float* mask, WinogradPatch patch, float* v,
                     Index plane) {
    spread<false>(kMatrices.filter, x, mask, patch, v, plane);
  }
  static void gradient(const float* x, const float* mask, WinogradPatch patch, float* v,
                       Index plane) {
    if (mask)
      spread<true>(kMatrices.output, x, mask, patch, v, plane);
    else
      spread<false>(kMatrices.output, x, mask, patch, v, plane);
  }
  static void output(const float* v, Index plane, const float* bias, bool relu, WinogradPatch patch,
                     float* y) {
    collect(kMatrices.output, v, plane, bias, relu, patch, y);
  }
  static void filter_gradient(const float* v, Index plane, const float* bias, bool relu,
                              WinogradPatch patch, float* y) {
    collect(kMatrices.filter, v, plane, bias, relu, patch, y);
  }
};

template <int M, int R>
constexpr WinogradTransforms kTransforms = {M,
                                            R,
                                            Transforms<M, R>::kMatrices.total,
                                            Transforms<M, R>::data,
                                            Transforms<M, R>::filter,
                                            Transforms<M, R>::gradient,
                                            Transforms<M, R>::output,
                                            Transforms<M, R>::filter_gradient};

#ifdef DOPPIO_BF16

using Word = __m512bh;
DOPPIO_INLINE Word broadcast(const float* p) { return (__m512bh)_mm512_set1_ps(*p); }
DOPPIO_INLINE Vec add_product(Vec sum, Word left, Vec right) {
  return _mm512_dpbf16_ps(sum, left, (__m512bh)right);
}

/// Rounds two registers of floats to one of bfloat16.
DOPPIO_INLINE Vec rounded(Vec low, Vec high) { return (Vec)_mm512_cvtne2ps_pbh(high, low); }

void pair_columns(const float* row, Index count, float* to) {
  for (Index i = 0; i < count; i += 2 * kLanes)
    if (i + kLanes < count) {
      store(to + i / 2, rounded(load(row + i), load(row + i + kLanes)));
    } else {
      const Vec last = rounded(load(row + i), Vec{});
      __builtin_memcpy(to + i / 2, &last, sizeof(last) / 2);
    }
}

void pair_rows(const float* row, const float* next, Index count, float* to) {
  // Indices that interleave the low and the high half.
  alignas(64) std::int16_t turns[2 * kLanes];
  for (int i = 0; i < kLanes; ++i) {
    turns[2 * i] = static_cast<std::int16_t>(i);
    turns[2 * i + 1] = static_cast<std::int16_t>(kLanes + i);
  }
  const __m512i order = _mm512_load_si512(turns);
  for (Index i = 0; i < count; i += kLanes) {
    const Vec both = rounded(load(row + i), next ? load(next + i) : Vec{});
    store(to + i, (Vec)_mm512_permutexvar_epi16(order, (__m512i)both));
  }
}

#else

using Word = float;
DOPPIO_INLINE Word broadcast(const float* p) { return *p; }
DOPPIO_INLINE Vec add_product(Vec sum, Word left, Vec right) { return sum + left * right; }

constexpr void (*pair_columns)(const float*, Index, float*) = nullptr;
constexpr void (*pair_rows)(const float*, const float*, Index, float*) = nullptr;

#endif

/// Computes kRows rows of a product with sums in registers. Prefetches the initial sums of the next
/// rows, and the right factor of the next product, which usually follows this one in memory.
template <int kRows, int kBlocks, bool kTransposed>
void multiply_rows(const float* a, const float* b, float* c, const WinogradProduct& p) {
  Vec sum[kRows][kBlocks];
  DOPPIO_UNROLL for (int i = 0; i < kRows; ++i) {
    DOPPIO_UNROLL for (int h = 0; h < kBlocks; ++h) {
      const float* start = c + (i * kBlocks + h) * kLanes;
      sum[i][h] = p.accumulate ? load(start) : Vec{};
      if (p.accumulate) __builtin_prefetch(start + kRows * kBlocks * kLanes);
    }
  }
  const Index stride = p.stride;
  const Index ahead = p.depth * kBlocks * kLanes;
  for (Index k = p.depth; k > 0; --k) {
    Vec right[kBlocks];
    DOPPIO_UNROLL for (int h = 0; h < kBlocks; ++h) right[h] = load(b + h * kLanes);
    DOPPIO_UNROLL for (int i = 0; i < kRows; ++i) {
      const Word left = broadcast(kTransposed ? a + i : a + i * stride);
      DOPPIO_UNROLL for (int h = 0; h < kBlocks; ++h) sum[i][h] =
          add_product(sum[i][h], left, right[h]);
    }
    DOPPIO_UNROLL for (int h = 0; h < kBlocks * kLanes; h += kLine)
        __builtin_prefetch(b + ahead + h);
    a += kTransposed ? stride : 1;
    b += kBlocks * kLanes;
  }
  DOPPIO_UNROLL for (int i = 0; i < kRows; ++i) {
    DOPPIO_UNROLL for (int h = 0; h < kBlocks; ++h)
        store(c + (i * kBlocks + h) * kLanes, sum[i][h]);
  }
}

template <int kRows, int kBlocks, bool kTransposed>
void multiply_up_to(Index rows, const float* a, float* c, const WinogradProduct& p) {
  if (rows == kRows) return multiply_rows<kRows, kBlocks, kTransposed>(a, p.b, c, p);
  if constexpr (kRows > 1) multiply_up_to<kRows - 1, kBlocks, kTransposed>(rows, a, c, p);
}

/// Computes all rows in chunks of nearly equal size: 12 of AVX2's 16 registers hold sums, 28 of
/// AVX-512's 32.
template <int kBlocks, bool kTransposed>
void multiply_pieces(const WinogradProduct& p) {
  constexpr int kMaxRows = kLanes == 8 ? 12 / kBlocks : 14;
  Index row = 0;
  for (Index pieces = (p.rows + kMaxRows - 1) / kMaxRows; pieces > 0; --pieces) {
    const Index rows = (p.rows - row) / pieces;
    multiply_up_to<kMaxRows, kBlocks, kTransposed>(rows, p.a + (kTransposed ? row : row * p.stride),
                                                   p.c + row * kBlocks * kLanes, p);
    row += rows;
  }
}

void multiply(const WinogradProduct& p) {
  if (p.blocks == 2)
    return p.transposed ? multiply_pieces<2, true>(p) : multiply_pieces<2, false>(p);
  return p.transposed ? multiply_pieces<1, true>(p) : multiply_pieces<1, false>(p);
}

constexpr WinogradTransforms kAllTransforms[] = {kTransforms<2, 3>, kTransforms<4, 3>,
#ifndef DOPPIO_BF16  // these would amplify its rounding errors twentyfold
                                                 kTransforms<6, 3>, kTransforms<2, 5>,
                                                 kTransforms<4, 5>
#endif
};

constexpr WinogradKernels kKernels = {
    kLanes,   kAllTransforms, sizeof(kAllTransforms) / sizeof(kAllTransforms[0]),
    multiply, pair_columns,   pair_rows};

}  // namespace
}  // namespace doppio
