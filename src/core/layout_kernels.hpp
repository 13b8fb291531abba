#pragma once
#include "doppio/shape.hpp"

namespace doppio {

enum class Layout;  // how the values of a tensor lie in memory (tensor.hpp)
struct Blocks;      // images, channels and pixels of a tensor (core/layout.hpp)

/// Converts tensors in an accelerator's memory between layouts, in the order of the work on its
/// `stream`. Tensors need it, and src/cuda/kernels implements it.
class LayoutKernels {
 public:
  virtual ~LayoutKernels() = default;
  /// Copies a plain tensor of these sizes to `to`, in one of the layouts of accelerators.
  virtual void from_plain(void* stream, const Blocks& sizes, const float* plain, Layout layout,
                          void* to) = 0;
  /// Copies it back.
  virtual void to_plain(void* stream, const Blocks& sizes, Layout layout, const void* from,
                        float* plain) = 0;
  /// Rounds `count` floats to bfloat16.
  virtual void round(void* stream, Index count, const float* from, void* to) = 0;
  /// Converts `count` values of bfloat16 to floats.
  virtual void widen(void* stream, Index count, const void* from, float* to) = 0;
};

}  // namespace doppio
