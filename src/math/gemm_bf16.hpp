#pragma once
// gemm() with factors in bfloat16, on CPUs with AVX512_BF16. Host code only.
#include "doppio/shape.hpp"

namespace doppio {

/// False where this CPU multiplies bfloat16 no faster, or the factors are used so rarely that
/// rounding them would cost more than it saves.
bool bf16_pays(Index M, Index N, Index K);

/// Floats of scratch memory that gemm_bf16() needs for the rounded factors.
Index bf16_copies_size(Index M, Index N, Index K);

/// C = op(A) * op(B) + beta * C as gemm() has it, of factors rounded to the nearest bfloat16.
void gemm_bf16(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
               const float* B, float beta, float* C, float* scratch);

}  // namespace doppio
