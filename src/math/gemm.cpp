#include "math/gemm.hpp"

#include <dnnl.h>

#include <algorithm>
#include <cstring>

#include "core/threads.hpp"
#include "doppio/error.hpp"
#include "math/kernel.hpp"
#include "math/lanes.hpp"
#include "math/matmul.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// C = alpha * op(A) * op(B) + beta * C, with row strides ldb of B and ldc of C.
void sgemm(bool ta, bool tb, Index M, Index N, Index K, float alpha, const float* A, const float* B,
           Index ldb, float beta, float* C, Index ldc) {
  const dnnl_status_t status = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, alpha, A,
                                          ta ? M : K, B, ldb, beta, C, ldc);
  ensure(status == dnnl_success, str("dnnl_sgemm failed with status ", int{status}));
}

/// True if oneDNN reads B in place although its rows are whole pages apart, which causes cache
/// conflicts. It then takes up to 1.8 times as long as for an unaligned B, which it copies first.
bool rows_collide(bool tb, Index M, Index N) {
  constexpr Index kPage = 4096 / sizeof(float);
  return !tb && N % kPage == 0 && M >= 32 && M <= 256;
}

/// True for a batch times B transposed, as in the forward pass of InnerProduct: with AVX-512,
/// oneDNN's matmul takes 20 % to 90 % of sgemm's time there, unless the batch is tiny.
bool matmul_is_faster(bool tb, Index M, Index N, Index K) {
  constexpr Index kBatch = 16, kProducts = Index{1} << 20;  // below, set-up dominates
  return tb && M >= kBatch && M * N * K >= kProducts;
}

/// y[n] = alpha * sum over k of B[n, k] * x[k] + beta * y[n]. Four rows of B at a time reach memory
/// bandwidth; sgemm takes 1.5 times as long.
void matrix_times_vector(Context& ctx, Index N, Index K, float alpha, const float* x,
                         const float* B, float beta, float* y) {
  constexpr Index kRows = 4, kLanes = 8;  // GCC spills vectors that exceed a register
  using Floats = Lanes<kLanes>::Floats;
  parallel_for(ctx, {(N + kRows - 1) / kRows, 1, 1}, elements_for_products(kRows * K),
               [=](Index group, Index, Index) {
    const Index first = group * kRows, rows = std::min(kRows, N - first);
    const float* row[kRows];  // the last group repeats a row if it has fewer
    for (Index r = 0; r < kRows; ++r) row[r] = B + (first + std::min(r, rows - 1)) * K;
    Floats lanes[kRows] = {};
    Index k = 0;
    for (; k + kLanes <= K; k += kLanes) {
      Floats factor, weight;
      std::memcpy(&factor, x + k, sizeof(factor));
      for (Index r = 0; r < kRows; ++r) {
        std::memcpy(&weight, row[r] + k, sizeof(weight));
        lanes[r] += weight * factor;
      }
    }
    for (Index r = 0; r < rows; ++r) {
      float sum = 0;
      for (Index i = 0; i < kLanes; ++i) sum += lanes[r][i];
      for (Index i = k; i < K; ++i) sum += row[r][i] * x[i];
      float& out = y[first + r];
      out = alpha * sum + (beta == 0 ? 0 : beta * out);
    }
  });
}

}  // namespace

Index gemm_workspace(Index M, Index N, Index K, Precision precision) {
  const bool rounds = precision == Precision::bfloat16 && bf16_pays(M, N, K);
  return rounds ? bf16_copies_size(M, N, K) : 0;
}

void gemm(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C, Precision precision) {
  if (M == 0 || N == 0) return;
  if (K == 0) {  // dnnl_sgemm would not change C
    for (Index i = 0; i < M * N; ++i) C[i] = beta == 0 ? 0 : beta * C[i];
    return;
  }
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const ThreadsFor work(M * K + K * N + M * N + elements_for_products(M * N * K));
  const Index copies = alpha == 1 ? gemm_workspace(M, N, K, precision) : 0;
  if (copies > 0) return matmul_bf16(ta, tb, M, N, K, A, B, beta, C, ctx.workspace(copies));
  if (M == 1 && tb) return matrix_times_vector(ctx, N, K, alpha, A, B, beta, C);
  if (alpha == 1 && matmul_is_faster(tb, M, N, K)) return matmul(ta, tb, M, N, K, A, B, beta, C);
  if (rows_collide(tb, M, N)) {
    constexpr Index kApart = 4;  // columns: the rest of B is not aligned to a vector
    sgemm(ta, tb, M, kApart, K, alpha, A, B, N, beta, C, N);
    sgemm(ta, tb, M, N - kApart, K, alpha, A, B + kApart, N, beta, C + kApart, N);
    return;
  }
  sgemm(ta, tb, M, N, K, alpha, A, B, tb ? K : N, beta, C, N);
}

void gemm_batch(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N,
                Index K, float alpha, const float* A, const float* B, float beta, float* C,
                const Batch& batch, Precision precision) {
  for (Index i = 0; i < batch.count; ++i)
    gemm(ctx, transpose_a, transpose_b, M, N, K, alpha, A + i * batch.A, B + i * batch.B, beta,
         C + i * batch.C, precision);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
