#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

namespace doppio::cuda {

/// What the CUDA runtime says of this machine.
struct RuntimeInfo {
  cudaError_t status = cudaSuccess;  ///< of counting the GPUs
  int gpus = 0;
  int driver = 0;   ///< newest CUDA version that the driver supports, 12040 for 12.4; 0: no driver
  int runtime = 0;  ///< the CUDA version of this build
};
RuntimeInfo query_runtime();

/// Throws: Error that says why GPU `id` cannot be used and what to do, if it cannot.
void require_device(int id, const RuntimeInfo& info);

/// Throws: Error if `status`, what probe() returned on GPU `id`, is not success.
void require_kernels(int id, const std::string& name, const std::string& compute_capability,
                     cudaError_t status);

/// The CUDA versions of build and driver, and the GPUs that the build has kernels for.
std::string support(const RuntimeInfo& info);

/// What to say when the device has not `wanted` bytes left.
std::string out_of_memory(std::size_t wanted, std::size_t free, std::size_t total);

}  // namespace doppio::cuda
