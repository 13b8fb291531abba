#pragma once
#include <cuda_runtime_api.h>

#include <string_view>

namespace doppio::cuda {

/// Throws: InternalError that says what was being done and CUDA's reason, unless `status` is
/// success; Error with the remedy if the device is out of memory.
void check(cudaError_t status, std::string_view doing);

/// The same for a cublasStatus_t, an int here to keep cuBLAS out of the kernels' headers.
void check_blas(int status, std::string_view doing);

}  // namespace doppio::cuda
