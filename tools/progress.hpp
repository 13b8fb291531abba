#pragma once
#include <functional>

#include "doppio/shape.hpp"

namespace doppio {

/// For the work of converters: logs how much is done, at most every ten seconds.
std::function<void(Index done, Index total)> log_progress(const char* what);

}  // namespace doppio
