#include "core/threads.hpp"

#include <omp.h>

#include <algorithm>
#include <thread>

namespace doppio {

int worker_count(int asked) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return asked > 0 ? asked : std::max(1, cores - 1);
}

ThreadsFor::ThreadsFor(Index elements) : before_(omp_get_max_threads()) {
  if (elements <= kLittleWork) omp_set_num_threads(1);
}

ThreadsFor::~ThreadsFor() { omp_set_num_threads(before_); }

}  // namespace doppio
