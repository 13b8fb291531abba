#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// f(i, thread) for each of n pieces of work, wholly by one of the threads 0 ..
/// num_threads_for(n)-1. If there are fewer pieces than threads, all threads work on each, outside
/// of any parallel region: within one, each loop in f would start new threads.
template <class F>
void for_each_piece(Index n, F f) {
  if (num_threads_for(n) > 1) return parallel_for_chunks(n, f);
  for (Index i = 0; i < n; ++i) f(i, 0);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
