#pragma once
#include <cstddef>
#include <string>

#include "doppio/net.hpp"

namespace doppio {

/// Describes how much device memory `net` needs and the largest batch size that fits in `available`
/// bytes. Used in out-of-memory errors.
std::string memory_advice(const Net& net, std::size_t available);

}  // namespace doppio
