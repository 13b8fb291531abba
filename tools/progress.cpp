#include "tools/progress.hpp"

#include <glog/logging.h>

#include <chrono>

namespace doppio {

std::function<void(Index, Index)> log_progress(const char* what) {
  using Clock = std::chrono::steady_clock;
  return [what, last = Clock::now()](Index done, Index total) mutable {
    if (Clock::now() - last < std::chrono::seconds(10)) return;
    last = Clock::now();
    LOG(INFO) << "Processed " << done << " of " << total << " " << what << ".";
  };
}

}  // namespace doppio
