#pragma once
// What gemm() leaves to oneDNN's matmul on the CPU. Host code only.
#include "doppio/shape.hpp"

namespace doppio {

/// C = op(A) * op(B) + beta * C as gemm() has it.
void matmul(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
            const float* B, float beta, float* C);

/// The same of factors rounded to the nearest bfloat16, in bf16_copies_size() floats of `scratch`.
void matmul_bf16(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
                 const float* B, float beta, float* C, float* scratch);
Index bf16_copies_size(Index M, Index N, Index K);

/// False where this CPU multiplies bfloat16 no faster, or the factors are used so rarely that
/// rounding them would cost more than it saves.
bool bf16_pays(Index M, Index N, Index K);

}  // namespace doppio
