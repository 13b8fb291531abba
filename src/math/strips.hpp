#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Neighbouring values that one work item computes: a thread of a GPU takes one; on the CPU a
/// longer strip lets work that neighbours share be done once, and the loop over the strip be
/// vectorised.
inline constexpr Index kStrip = kDevice == Device::cuda ? 1 : 64;

/// How many strips cover n values.
inline Index strips(Index n) { return (n + kStrip - 1) / kStrip; }

/// How many of n values lie in the strip that begins at value `begin`.
HOST_DEVICE inline Index strip_width(Index begin, Index n) {
  return kStrip == 1 || n - begin > kStrip ? kStrip : n - begin;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
