#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Copies a rows x cols block between matrices; strides are the matrices' row lengths.
inline void copy_rows(Context& ctx, Index rows, Index cols, const float* from, Index from_stride,
                      float* to, Index to_stride) {
  parallel_for(ctx, {1, rows, cols}, [=] KERNEL(Index, Index r, Index c) {
    to[r * to_stride + c] = from[r * from_stride + c];
  });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
