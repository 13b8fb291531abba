#pragma once
#include <chrono>
#include <map>
#include <string>

namespace doppio {

/// How long each thread of this process, by thread id, was runnable but had no core. Empty if Linux
/// does not report it (/proc/self/task/TID/schedstat).
using RunDelays = std::map<std::string, std::chrono::nanoseconds>;
RunDelays run_delays();

/// Returns the largest increase among threads that are in both.
std::chrono::nanoseconds longest_growth(const RunDelays& before, const RunDelays& now);

/// Lets idle OpenMP threads spin, which starts the next loop sooner, while the cores are otherwise
/// idle, and sleep if other threads need them. Called by every Context; only the first call has an
/// effect, and none if OMP_WAIT_POLICY or GOMP_SPINCOUNT is set.
void choose_waits();

}  // namespace doppio
