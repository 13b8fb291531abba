#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/layout.hpp"
#include "core/layout_kernels.hpp"
#include "doppio/tensor.hpp"

namespace doppio::cuda {

class CudaLayoutKernels final : public LayoutKernels {
 public:
  void from_plain(void* stream, const Blocks& sizes, const float* plain, Layout layout,
                  void* to) override;
  void to_plain(void* stream, const Blocks& sizes, Layout layout, const void* from,
                float* plain) override;
  void round(void* stream, Index count, const float* from, void* to) override;
  void widen(void* stream, Index count, const void* from, float* to) override;
};

/// *to = value, in the stream's order.
void store(cudaStream_t stream, std::uint64_t value, std::uint64_t* to);

}  // namespace doppio::cuda
