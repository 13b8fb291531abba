#pragma once
#include "layers/pooling/pooling.hpp"

namespace doppio {

// MAX pooling of plain maps by 2x2 or 3x3 windows that neither overlap nor leave the map: all have
// the same form and lie at a fixed distance, so the loops over them are vectorised. For numbers the
// results are those of pool_max() and SendToPicked in layers/pooling/pooling.hpp; which pixel a
// window with a NaN picks may differ.

/// True for the windows that the functions below can do.
bool tiles_map(const PoolWindows& windows);

void pool_max_tiled(Context& ctx, const PoolWindows& windows, const float* x, float* y,
                    std::uint8_t* picked);

/// dx = dy sent to the picked pixels.
void send_to_picked_tiled(Context& ctx, const PoolWindows& windows, const float* dy,
                          const std::uint8_t* picked, float* dx);

}  // namespace doppio
