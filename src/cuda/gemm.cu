#include <cublas_v2.h>

#include <algorithm>

#include "cuda/check.hpp"
#include "math/gemm.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

// cuBLAS is column-major: to it our C is C^T = op(B)^T op(A)^T, so the operands swap places.
void gemm(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C, Precision precision) {
  if (M == 0 || N == 0) return;
  const auto op = [](Transpose t) { return t == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const Index lda = transpose_a == Transpose::yes ? M : std::max<Index>(K, 1);
  const Index ldb = transpose_b == Transpose::yes ? std::max<Index>(K, 1) : N;
  const cublasComputeType_t type = precision == Precision::bfloat16
                                       ? CUBLAS_COMPUTE_32F_FAST_16BF  // rounds as it reads
                                       : CUBLAS_COMPUTE_32F;
  cuda::check_blas(
      cublasGemmEx_64(static_cast<cublasHandle_t>(ctx.accelerator()->blas()), op(transpose_b),
                      op(transpose_a), N, M, K, &alpha, B, CUDA_R_32F, ldb, A, CUDA_R_32F, lda,
                      &beta, C, CUDA_R_32F, N, type, CUBLAS_GEMM_DEFAULT),
      "multiplying matrices");
}

Index gemm_workspace(Index, Index, Index, Precision) { return 0; }

}  // namespace DOPPIO_BUILD
}  // namespace doppio
