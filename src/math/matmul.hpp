#pragma once
// Matrix products with oneDNN's matmul primitive, for gemm() on the CPU. Host code only.
#include "doppio/shape.hpp"

namespace doppio {

/// C = op(A) * op(B) + beta * C, with the arguments of gemm().
void matmul(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
            const float* B, float beta, float* C);

/// As matmul(), with factors rounded to bfloat16 in bf16_copies_size() floats of `scratch`.
void matmul_bf16(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
                 const float* B, float beta, float* C, float* scratch);
Index bf16_copies_size(Index M, Index N, Index K);

/// False if bfloat16 is not faster on this CPU, or if the product is too small for rounding to pay
/// off.
bool bf16_pays(Index M, Index N, Index K);

}  // namespace doppio
