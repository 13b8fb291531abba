#pragma once
#include <functional>

#include "compare.hpp"

namespace doppio::conformance {

/// Runs `job(0)` .. `job(count - 1)` in a child process and hands each result to `report`. The
/// child is replaced after every failure, so a job that crashes, hangs or spoils the device is one
/// failure and no more.
void run_isolated(std::size_t count, const std::function<Result(std::size_t)>& job,
                  const std::function<void(std::size_t, const Result&)>& report);

}  // namespace doppio::conformance
