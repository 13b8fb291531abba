#pragma once
// Pooling on accelerators, channels first or last, of floats or bfloat16 (src/cuda).
#include <cstdint>

#include "layers/pooling/pooling.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Maps of N x C x H x W values in one of an accelerator's layouts; pointers to them are to Bf16
/// where they are of bfloat16.
struct DeviceMaps {
  Index N, C, H, W;
  Layout layout;
};

/// Pooling; picked[o] = place of the largest value in its window (max alone), as it lies in `maps`'
/// layout.
void pool_on_device(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, const float* x,
                    float* y, std::uint8_t* picked);
void pool_backward_on_device(Context& ctx, const DeviceMaps& maps, const DevicePool& pool,
                             const float* dy, const std::uint8_t* picked, float* dx);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
