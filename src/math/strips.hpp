#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Adjacent values that one call computes: one per GPU thread. On the CPU, longer strips share work
/// between neighbours and vectorise.
inline constexpr Index kStrip = kDevice == Device::cuda ? 1 : 64;

/// Number of strips that cover n values.
inline Index strips(Index n) { return (n + kStrip - 1) / kStrip; }

/// Number of the n values in the strip that begins at `begin`.
HOST_DEVICE inline Index strip_width(Index begin, Index n) {
  return kStrip == 1 || n - begin > kStrip ? kStrip : n - begin;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
