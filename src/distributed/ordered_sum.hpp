#pragma once
#include <span>

#include "doppio/shape.hpp"

namespace doppio {

/// to[i] = the mean of parts[0][i], parts[1][i], ..., added in this order in double precision. `to`
/// may be one of the parts.
void ordered_mean(std::span<const float* const> parts, Index n, float* to);

}  // namespace doppio
