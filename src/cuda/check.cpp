#include "cuda/check.hpp"

#include <cublas_v2.h>

#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

constexpr const char* kSmaller = "; try a smaller batch_size";

/// True for errors that all later CUDA calls of the process return, too.
bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorECCUncorrectable:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t status, std::string_view doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clear it, or the next launch would report it
  require(status != cudaErrorMemoryAllocation, "GPU out of memory, ", doing, kSmaller);
  // Kernels run asynchronously, so an earlier one may be the cause.
  throw InternalError(
      str("CUDA, ", doing, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")",
          is_sticky(status) ? "; a kernel failed, perhaps an earlier one, and this process can no "
                              "longer use the GPU; CUDA_LAUNCH_BLOCKING=1 shows in which kernel"
                            : ""));
}

void check_blas(int status, std::string_view doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  require(status != CUBLAS_STATUS_ALLOC_FAILED, "GPU out of memory, cuBLAS ", doing, kSmaller);
  throw InternalError(
      str("cuBLAS, ", doing, ": ", cublasGetStatusName(static_cast<cublasStatus_t>(status))));
}

}  // namespace doppio::cuda
