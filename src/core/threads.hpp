#pragma once
#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "doppio/shape.hpp"

namespace doppio {

/// Number of threads to use where `asked` is 0: all cores but one, which the caller keeps.
inline int worker_count(int asked) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return asked > 0 ? asked : std::max(1, cores - 1);
}

/// Elements that a loop touches in about the time that it takes to wake the other threads.
inline constexpr Index kLittleWork = 65536;

/// Returns whether a loop of `pieces` calls that touch `elements` elements each is worth waking the
/// other threads for. A team is always whole: OpenMP would end threads, and start others later,
/// whenever its size changed.
inline bool worth_threads(Index pieces, Index elements) {
  return pieces > 1 && pieces * elements > kLittleWork;
}

/// As `elements` above: what multiplying and adding `count` times is worth.
inline Index elements_for_products(Index count) { return count / 32; }

/// While it lives, OpenMP, and oneDNN with it, stays in the calling thread unless `elements` are
/// worth more threads.
class ThreadsFor {
 public:
  explicit ThreadsFor(Index elements);
  ~ThreadsFor();
  ThreadsFor(const ThreadsFor&) = delete;

 private:
  int before_;
};

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
