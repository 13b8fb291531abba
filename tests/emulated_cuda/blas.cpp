// The part of cuBLAS that src/cuda uses, for the emulated GPU.
#include <cublas_v2.h>

#include <bit>
#include <vector>

#include "doppio/error.hpp"
#include "emulated_cuda/dnn.hpp"
#include "emulated_cuda/launch.hpp"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace {

/// A column-major factor with op() applied.
struct Matrix {
  const float* values;
  std::int64_t rows_apart, columns_apart;
  unsigned kept;  ///< leading bits of each value after rounding

  Matrix(const void* v, cublasOperation_t op, std::int64_t ld, cublasComputeType_t type)
      : values(static_cast<const float*>(v)),
        rows_apart(op == CUBLAS_OP_N ? 1 : ld),
        columns_apart(op == CUBLAS_OP_N ? ld : 1),
        kept(type == CUBLAS_COMPUTE_32F_FAST_16BF   ? 16
             : type == CUBLAS_COMPUTE_32F_FAST_TF32 ? 19
                                                    : 32) {}

  float at(std::int64_t row, std::int64_t column) const {
    const float value = values[row * rows_apart + column * columns_apart];
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t dropped = (1u << (32 - kept)) - 1;
    if (value != value || dropped == 0) return value;
    const std::uint32_t even = dropped / 2 + (bits >> (32 - kept) & 1);
    return std::bit_cast<float>((bits + even) & ~dropped);
  }
};

void multiply(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const Matrix& A,
              const Matrix& B, float beta, float* C, std::int64_t ldc) {
  std::vector<float> columns(static_cast<std::size_t>(m * k));  // of op(A), contiguous
  for (std::int64_t l = 0; l < k; ++l)
    for (std::int64_t i = 0; i < m; ++i) columns[static_cast<std::size_t>(l * m + i)] = A.at(i, l);
  std::vector<double> sums(static_cast<std::size_t>(m));
  for (std::int64_t j = 0; j < n; ++j) {
    sums.assign(sums.size(), 0);
    for (std::int64_t l = 0; l < k; ++l) {
      const double b = B.at(l, j);
      const float* column = columns.data() + l * m;
      for (std::int64_t i = 0; i < m; ++i) sums[static_cast<std::size_t>(i)] += b * column[i];
    }
    float* c = C + j * ldc;
    for (std::int64_t i = 0; i < m; ++i)
      c[i] = static_cast<float>(alpha * sums[static_cast<std::size_t>(i)] +
                                (beta == 0 ? 0 : beta * c[i]));
  }
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  doppio::ensure(!doppio::cuda::emulated::broken, "cuBLAS crashes");
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int64_t m, int64_t n,
    int64_t k, const void* alpha, const void* A, cudaDataType, int64_t lda, long long stride_a,
    const void* B, cudaDataType, int64_t ldb, long long stride_b, const void* beta, void* C,
    cudaDataType, int64_t ldc, long long stride_c, int64_t batch, cublasComputeType_t type,
    cublasGemmAlgo_t) {
  if (m < 0 || n < 0 || k < 0 || lda < (op_a == CUBLAS_OP_N ? m : k) ||
      ldb < (op_b == CUBLAS_OP_N ? k : n) || ldc < m)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const void* memory : {A, B, static_cast<const void*>(C)})
    doppio::cuda::emulated::refuse_host_pointers(memory);
  doppio::cuda::emulated::note("cuBLAS");
  const Matrix a(A, op_a, lda, type), b(B, op_b, ldb, type);
  doppio::cuda::emulated::enqueue(
      handle->stream, [=, scale = *static_cast<const float*>(alpha),
                       keep = *static_cast<const float*>(beta), c = static_cast<float*>(C)] {
        for (int64_t i = 0; i < batch; ++i) {
          Matrix a_i = a, b_i = b;
          a_i.values += i * stride_a;
          b_i.values += i * stride_b;
          multiply(m, n, k, scale, a_i, b_i, keep, c + i * stride_c, ldc);
        }
      });
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t op_a,
                               cublasOperation_t op_b, int64_t m, int64_t n, int64_t k,
                               const void* alpha, const void* A, cudaDataType a_type, int64_t lda,
                               const void* B, cudaDataType b_type, int64_t ldb, const void* beta,
                               void* C, cudaDataType c_type, int64_t ldc, cublasComputeType_t type,
                               cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx_64(handle, op_a, op_b, m, n, k, alpha, A, a_type, lda, 0, B,
                                       b_type, ldb, 0, beta, C, c_type, ldc, 0, 1, type, algorithm);
}

}  // extern "C"
