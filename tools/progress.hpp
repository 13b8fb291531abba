#pragma once
#include <functional>

#include "doppio/shape.hpp"

namespace doppio {

/// Returns a progress function for converters that logs at most every ten seconds.
std::function<void(Index done, Index total)> log_progress(const char* what);

}  // namespace doppio
