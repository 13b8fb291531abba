#pragma once
#include <chrono>
#include <map>
#include <string>

namespace doppio {

/// How long each thread of this process, by its number, has been ready to run but had no core.
/// Empty where Linux does not tell (/proc/self/task/N/schedstat).
using RunDelays = std::map<std::string, std::chrono::nanoseconds>;
RunDelays run_delays();

/// The most that a thread in both has waited in between.
std::chrono::nanoseconds longest_growth(const RunDelays& before, const RunDelays& now);

/// Lets OpenMP's waiting threads spin, which starts the next loop sooner, while no other process
/// wants the cores, and sleep otherwise, so that they take no core from a thread that has work.
/// Called by every Context; later calls have no effect, nor has any if the user set
/// OMP_WAIT_POLICY or GOMP_SPINCOUNT.
void choose_waits();

}  // namespace doppio
