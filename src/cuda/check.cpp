#include "cuda/check.hpp"

#include <cublas_v2.h>

#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

constexpr const char* kSmaller = "; try a smaller batch_size";

bool comes_from_a_kernel(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t status, std::string_view doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forget it, or the next launch would be blamed
  require(status != cudaErrorMemoryAllocation, "GPU out of memory, ", doing, kSmaller);
  // Kernels run later than the calls that start them, so the culprit may be an earlier one.
  const bool in_kernel = comes_from_a_kernel(status);
  throw InternalError(str("CUDA, ", doing, ": ", cudaGetErrorString(status), " (",
                          cudaGetErrorName(status), ")",
                          in_kernel ? "; CUDA_LAUNCH_BLOCKING=1 shows in which kernel" : ""));
}

void check_blas(int status, std::string_view doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  require(status != CUBLAS_STATUS_ALLOC_FAILED, "GPU out of memory, cuBLAS ", doing, kSmaller);
  throw InternalError(
      str("cuBLAS, ", doing, ": ", cublasGetStatusName(static_cast<cublasStatus_t>(status))));
}

}  // namespace doppio::cuda
