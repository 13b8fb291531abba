#include "core/wait_policy.hpp"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace doppio {

namespace {

/// Blocks all signals in this thread, and in threads that it starts, for its lifetime.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

/// OpenMP threads that sleep for its lifetime. While OpenMP has more threads than the process has
/// cores, its waiting threads soon sleep (libgomp's manual, GOMP_SPINCOUNT: they spin 100 instead
/// of 300,000 times).
class SleepingTeam {
 public:
  explicit SleepingTeam(int size)
      : thread_([this, size] {
          std::future<void> end = end_.get_future();
#pragma omp parallel num_threads(size)
          if (omp_get_thread_num() == 0) end.wait();  // the others wait at the implicit barrier
        }) {
  }
  ~SleepingTeam() {
    end_.set_value();
    thread_.join();
  }
  SleepingTeam(const SleepingTeam&) = delete;

 private:
  std::promise<void> end_;
  std::thread thread_;
};

/// Starts with short spinning. Allows long spinning after a second without contention for cores,
/// and returns to short spinning as soon as a thread has had to wait for a core.
void adapt_waits(int team_size) {
  using namespace std::chrono_literals;
  constexpr auto kLook = 100ms;
  constexpr std::chrono::nanoseconds kBusy = 15ms;  // at most 7 on idle cores, 20 on busy ones
  constexpr int kQuietLooks = 10;
  std::optional<SleepingTeam> sleepers(std::in_place, team_size);
  RunDelays before = run_delays();
  for (int quiet = kQuietLooks - 1; !before.empty();) {
    std::this_thread::sleep_for(kLook);
    RunDelays now = run_delays();
    quiet = longest_growth(before, now) > kBusy ? 0 : quiet + 1;
    before = std::move(now);
    if (quiet == 0 && !sleepers) sleepers.emplace(team_size);
    if (quiet == kQuietLooks) sleepers.reset();
  }
  for (;;) pause();  // the team stays asleep
}

}  // namespace

RunDelays run_delays() {
  RunDelays delays;
  std::error_code error;  // threads may end during the listing
  for (auto it = std::filesystem::directory_iterator("/proc/self/task", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::ifstream statistics(it->path() / "schedstat");
    std::int64_t ran = 0, waited = 0;
    if (statistics >> ran >> waited)
      delays[it->path().filename()] = std::chrono::nanoseconds(waited);
  }
  return delays;
}

std::chrono::nanoseconds longest_growth(const RunDelays& before, const RunDelays& now) {
  std::chrono::nanoseconds longest{0};
  for (const auto& [thread, delay] : now)
    if (const auto it = before.find(thread); it != before.end())
      longest = std::max(longest, delay - it->second);
  return longest;
}

void choose_waits() {
  static const bool once = [] {
    const int threads = omp_get_max_threads(), cores = omp_get_num_procs();
    const bool chosen = std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT");
    if (chosen || threads == 1 || threads > cores) return false;
    try {
      const NoSignals inherited;  // other threads handle the signals
      std::thread([size = cores - threads + 2] {
        try {
          adapt_waits(size);
        } catch (const std::system_error&) {  // no more threads are available
        }
      }).detach();
    } catch (const std::system_error&) {
    }
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace doppio
