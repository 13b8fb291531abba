#pragma once
#include <cstddef>
#include <string>

#include "doppio/net.hpp"

namespace doppio {

/// For the message that an accelerator, of whose memory so many bytes are available, has not
/// enough: what the net needs, and which batch size would fit.
std::string memory_advice(const Net& net, std::size_t available);

}  // namespace doppio
