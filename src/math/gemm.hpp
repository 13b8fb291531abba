#pragma once
#include "core/host_device.hpp"
#include "doppio/context.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

enum class Transpose { no, yes };

/// Of the factors of products; sums are float32. tf32 has float32's range and 11 bits of precision,
/// bfloat16 the same range and 8.
enum class Precision { float32, bfloat16, tf32 };

/// C = alpha * op(A) * op(B) + beta * C, all row-major and dense.
///
/// op(A) is M x K (A is K x M if transposed), op(B) is K x N (B is N x K if transposed), C is M x
/// N. oneDNN on the CPU (our own loops for a row times B transposed), cuBLAS on the GPU.
///
/// With Precision::bfloat16 or tf32 the factors are rounded where the device is faster then, never
/// on the CPU to tf32. On the CPU the rounded copies take gemm_workspace() floats of
/// Context::workspace(), where no operand may lie.
void gemm(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C,
          Precision precision = Precision::float32);

/// Products of the same sizes: matrix i of A, B and C begins i times so many floats after the
/// first.
struct Batch {
  Index count, A, B, C;
};

/// The products of a batch, as gemm() makes each; on the GPU all at once.
void gemm_batch(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N,
                Index K, float alpha, const float* A, const float* B, float beta, float* C,
                const Batch& batch, Precision precision = Precision::float32);

/// Floats of Context::workspace() that a product of these sizes takes.
Index gemm_workspace(Index M, Index N, Index K, Precision precision);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
