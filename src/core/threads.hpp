#pragma once
#include "doppio/shape.hpp"

namespace doppio {

/// Returns `asked`, or if it is 0 the number of cores minus one for the caller.
int worker_count(int asked);

/// Elements that a loop processes in about the time it takes to wake the other threads.
inline constexpr Index kLittleWork = 65536;

/// Returns whether a loop of `pieces` calls with `elements` elements each is worth waking the other
/// threads. Loops use all threads or one, because OpenMP ends and starts threads whenever the
/// team's size changes.
inline bool worth_threads(Index pieces, Index elements) {
  return pieces > 1 && pieces * elements > kLittleWork;
}

/// Converts a number of multiply-adds to the equivalent number of elements.
inline Index elements_for_products(Index count) { return count / 32; }

/// For its lifetime, limits OpenMP, and oneDNN with it, to the calling thread unless `elements` are
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
