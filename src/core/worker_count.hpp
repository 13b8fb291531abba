#pragma once
#include <algorithm>
#include <thread>

namespace doppio {

/// Number of threads to use where `asked` is 0: all cores but one, which the caller keeps.
inline int worker_count(int asked) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return asked > 0 ? asked : std::max(1, cores - 1);
}

}  // namespace doppio
