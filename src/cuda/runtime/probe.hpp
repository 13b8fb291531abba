#pragma once
#include <cuda_runtime_api.h>

namespace doppio::cuda {

/// Returns success if the current device can run the kernels of this build.
cudaError_t probe();

}  // namespace doppio::cuda
