#pragma once
#include <cuda_runtime_api.h>

#include <string_view>

namespace doppio::cuda {

/// Throws: InternalError with `doing` and CUDA's message unless `status` is success; Error with the
/// remedy if the device is out of memory.
void check(cudaError_t status, std::string_view doing);

/// As check() for a cublasStatus_t, an int to keep cuBLAS out of the kernels' headers.
void check_blas(int status, std::string_view doing);

}  // namespace doppio::cuda
