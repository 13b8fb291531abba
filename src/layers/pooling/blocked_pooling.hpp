#pragma once
#include "layers/pooling/pooling.hpp"

namespace doppio {

// Pooling in Layout::blocked. `windows.planes` counts blocks of channels, N * C / B; the results
// are those of the functions of layers/pooling.hpp.

void pool_max_blocked(Context& ctx, const PoolWindows& windows, const float* x, float* y,
                      std::uint8_t* picked);
void pool_average_blocked(Context& ctx, const PoolWindows& windows, const float* x, float* y);

/// dx = dy sent to the picked pixels, or shared by the pixels of each window.
void send_to_picked_blocked(Context& ctx, const PoolWindows& windows, const float* dy,
                            const std::uint8_t* picked, float* dx);
void send_shares_blocked(Context& ctx, const PoolWindows& windows, const float* dy, float* dx);

}  // namespace doppio
