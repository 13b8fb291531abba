#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

namespace doppio::cuda {

/// What the CUDA runtime reports about this machine.
struct RuntimeInfo {
  cudaError_t status = cudaSuccess;  ///< of cudaGetDeviceCount()
  int gpus = 0;
  int driver = 0;   ///< newest CUDA version that the driver supports, 12040 for 12.4; 0: no driver
  int runtime = 0;  ///< the CUDA version of this build
};
RuntimeInfo query_runtime();

/// Throws: Error with the reason and the remedy if GPU `id` cannot be used.
void require_device(int id, const RuntimeInfo& info);

/// Throws: Error if `status`, the result of probe() on GPU `id`, is not success.
void require_kernels(int id, const std::string& name, const std::string& compute_capability,
                     cudaError_t status);

/// Returns the CUDA versions of build and driver, and the architectures of the build's kernels.
std::string support(const RuntimeInfo& info);

/// Returns the message for a failed allocation of `wanted` bytes.
std::string out_of_memory(std::size_t wanted, std::size_t free, std::size_t total);

}  // namespace doppio::cuda
