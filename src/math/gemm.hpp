#pragma once
#include "core/host_device.hpp"
#include "doppio/context.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

enum class Transpose { no, yes };

/// Precision of the factors; sums are float32. tf32 and bfloat16 have float32's range, with 11 and
/// 8 bits of precision.
enum class Precision { float32, bfloat16, tf32 };

/// C = alpha * op(A) * op(B) + beta * C, all row-major and dense.
///
/// op(A) is M x K (A is K x M if transposed), op(B) is K x N (B is N x K if transposed), C is M x
/// N. Uses oneDNN on the CPU (own loops for a row times B transposed) and cuBLAS on the GPU.
///
/// With Precision::bfloat16 or tf32 the factors are rounded if that is faster, but never to tf32 on
/// the CPU. Rounded copies on the CPU use gemm_workspace() floats of Context::workspace(), which
/// must not contain an operand.
void gemm(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C,
          Precision precision = Precision::float32);

/// Number of products, and distances in floats from each A, B and C to the next.
struct Batch {
  Index count, A, B, C;
};

/// Calls gemm() for each product of a batch; a single call on the GPU.
void gemm_batch(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N,
                Index K, float alpha, const float* A, const float* B, float beta, float* C,
                const Batch& batch, Precision precision = Precision::float32);

/// Returns the floats of Context::workspace() that gemm() needs.
Index gemm_workspace(Index M, Index N, Index K, Precision precision);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
