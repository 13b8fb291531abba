#pragma once
#include "doppio/shape.hpp"

namespace doppio {

struct Bf16;        // a value of bfloat16 (core/bf16.hpp)
struct TensorDims;  // images, channels and pixels of a tensor (core/layout.hpp)

/// Converts tensors in an accelerator's memory between layouts and element types, in the order of
/// `stream`. Implemented by src/cuda/kernels.
class LayoutKernels {
 public:
  virtual ~LayoutKernels() = default;
  virtual void nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw,
                            float* nhwc) = 0;
  virtual void nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw,
                            Bf16* nhwc) = 0;
  virtual void nhwc_to_nchw(void* stream, const TensorDims& dims, const float* nhwc,
                            float* nchw) = 0;
  virtual void nhwc_to_nchw(void* stream, const TensorDims& dims, const Bf16* nhwc,
                            float* nchw) = 0;
  /// Converts the type of `count` values.
  virtual void convert(void* stream, Index count, const float* from, Bf16* to) = 0;
  virtual void convert(void* stream, Index count, const Bf16* from, float* to) = 0;
};

}  // namespace doppio
