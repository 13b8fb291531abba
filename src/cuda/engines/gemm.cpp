#include "math/gemm.hpp"

#include <cublas_v2.h>

#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/runtime/device.hpp"
#include "layers/support/precision.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// cuBLAS rounds the factors as it reads them.
cublasComputeType_t compute_type(Precision precision) {
  switch (precision) {
    case Precision::bfloat16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::float32:
      break;
  }
  return CUBLAS_COMPUTE_32F;
}

}  // namespace

// cuBLAS is column-major and sees C^T = op(B)^T op(A)^T, so the operands are swapped.
void gemm_batch(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N,
                Index K, float alpha, const float* A, const float* B, float beta, float* C,
                const Batch& batch, Precision precision) {
  if (M == 0 || N == 0 || batch.count == 0) return;
  const auto op = [](Transpose t) { return t == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const Index lda = transpose_a == Transpose::yes ? M : std::max<Index>(K, 1);
  const Index ldb = transpose_b == Transpose::yes ? std::max<Index>(K, 1) : N;
  const cublasHandle_t blas = cuda::blas(*ctx.accelerator());
  // cuBLAS may split a single product along K to fill the GPU, but not a batch of one.
  const cublasStatus_t status =
      batch.count == 1 ? cublasGemmEx_64(blas, op(transpose_b), op(transpose_a), N, M, K, &alpha, B,
                                         CUDA_R_32F, ldb, A, CUDA_R_32F, lda, &beta, C, CUDA_R_32F,
                                         N, compute_type(precision), CUBLAS_GEMM_DEFAULT)
                       : cublasGemmStridedBatchedEx_64(
                             blas, op(transpose_b), op(transpose_a), N, M, K, &alpha, B, CUDA_R_32F,
                             ldb, batch.B, A, CUDA_R_32F, lda, batch.A, &beta, C, CUDA_R_32F, N,
                             batch.C, batch.count, compute_type(precision), CUBLAS_GEMM_DEFAULT);
  cuda::check_blas(status, "multiplying matrices");
}

void gemm(Context& ctx, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C, Precision precision) {
  gemm_batch(ctx, transpose_a, transpose_b, M, N, K, alpha, A, B, beta, C, {1, 0, 0, 0}, precision);
}

bool multiplies_rounded(const Context& ctx) {
  int major = 0;
  cuda::check(
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ctx.accelerator()->id()),
      "querying the compute capability");
  return major >= 8;
}

Index gemm_workspace(Index, Index, Index, Precision) { return 0; }

}  // namespace DOPPIO_BUILD
}  // namespace doppio
