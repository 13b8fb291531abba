#pragma once
// What tests may change in the emulated GPUs and cuDNN.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace doppio::cuda::emulated {

/// Pieces of work, each as long as one kernel, that calls of cuDNN take more than they need; and
/// what it refuses.
struct DnnBehaviour {
  int slow = 0;         ///< every pass
  int slow_last = 0;    ///< passes with channels last
  int slow_fusing = 0;  ///< the algorithm that fuses bias and ReLU
  bool finds_nothing = false;
  int alignment = 1;  ///< of channels in a group and of outputs, with channels last
};
inline DnnBehaviour dnn;

inline int compute_capability_major = 9;
inline std::size_t largest_allocation = SIZE_MAX;  ///< bytes

/// What calls return after an error that a GPU does not recover from, or when CUDA has ended.
inline cudaError_t broken = cudaSuccess;

}  // namespace doppio::cuda::emulated
