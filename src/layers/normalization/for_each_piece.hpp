#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Calls f(i, thread) for each of n work items, each on one of the threads 0 ..
/// num_threads_for(n)-1. With fewer items than threads, calls f outside of any parallel region, so
/// that the loops in f run on all threads.
template <class F>
void for_each_piece(Index n, F f) {
  if (num_threads_for(n) > 1) return parallel_for_chunks(n, f);
  for (Index i = 0; i < n; ++i) f(i, 0);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
