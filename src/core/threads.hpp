#pragma once
#include "doppio/shape.hpp"

namespace doppio {

/// Number of threads to use where `asked` is 0: all cores but one, which the caller keeps.
int worker_count(int asked);

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

}  // namespace doppio
