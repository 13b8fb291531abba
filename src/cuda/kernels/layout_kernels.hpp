#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/layout.hpp"
#include "core/layout_kernels.hpp"

namespace doppio::cuda {

class CudaLayoutKernels final : public LayoutKernels {
 public:
  void nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw, float* nhwc) override;
  void nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw, Bf16* nhwc) override;
  void nhwc_to_nchw(void* stream, const TensorDims& dims, const float* nhwc, float* nchw) override;
  void nhwc_to_nchw(void* stream, const TensorDims& dims, const Bf16* nhwc, float* nchw) override;
  void convert(void* stream, Index count, const float* from, Bf16* to) override;
  void convert(void* stream, Index count, const Bf16* from, float* to) override;
};

/// *to = value, in stream order.
void store(cudaStream_t stream, std::uint64_t value, std::uint64_t* to);

}  // namespace doppio::cuda
