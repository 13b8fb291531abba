#pragma once
// Settings of the emulated GPUs and cuDNN that tests may change.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace doppio::cuda::emulated {

/// Delays of cuDNN calls, in work items, each as long as a kernel, and what cuDNN rejects.
struct DnnBehaviour {
  int slow = 0;         ///< every pass
  int slow_last = 0;    ///< passes with channels last
  int slow_fusing = 0;  ///< the algorithm that fuses bias and ReLU
  bool finds_nothing = false;
  int alignment = 1;  ///< required of channels per group and outputs, in NHWC
};
inline DnnBehaviour dnn;

inline int compute_capability_major = 9;
inline std::size_t largest_allocation = SIZE_MAX;  ///< bytes

/// The result of all calls after a sticky error, or when CUDA has shut down.
inline cudaError_t broken = cudaSuccess;

}  // namespace doppio::cuda::emulated
