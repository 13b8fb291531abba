#include "cuda/check.hpp"

#include <cublas_v2.h>

#include "doppio/error.hpp"

namespace doppio::cuda {

void check(cudaError_t status, std::string_view doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forget it, or the next launch would be blamed
  // Kernels run later than the calls that start them, so the culprit may be an earlier one.
  const bool in_kernel = status == cudaErrorIllegalAddress || status == cudaErrorLaunchFailure;
  throw InternalError(str("CUDA, ", doing, ": ", cudaGetErrorString(status), " (",
                          cudaGetErrorName(status), ")",
                          in_kernel ? "; CUDA_LAUNCH_BLOCKING=1 shows in which kernel" : ""));
}

void check_blas(int status, std::string_view doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw InternalError(
      str("cuBLAS, ", doing, ": ", cublasGetStatusName(static_cast<cublasStatus_t>(status))));
}

}  // namespace doppio::cuda
