#include "core/wait_policy.hpp"

#include <gtest/gtest.h>
#include <omp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

#include "doppio/context.hpp"

namespace doppio {
namespace {

/// Keeps every core busy, twice over, as long as it lives.
class BusyProcesses {
 public:
  BusyProcesses() {
    for (int i = 0; i < 2 * omp_get_num_procs(); ++i) {
      const pid_t child = fork();
      if (child == 0)
        for (;;) continue;
      if (child > 0) children_.push_back(child);
    }
  }
  ~BusyProcesses() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  BusyProcesses(const BusyProcesses&) = delete;

 private:
  std::vector<pid_t> children_;
};

void compute_for(std::chrono::milliseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) continue;
}

TEST(WaitPolicy, WaitsForACoreAreSeen) {
  const RunDelays before = run_delays();
  if (before.empty()) GTEST_SKIP() << "no /proc/self/task/N/schedstat here";
  const BusyProcesses others;
  compute_for(std::chrono::milliseconds(300));
  EXPECT_GT(longest_growth(before, run_delays()), std::chrono::milliseconds(45));
}

TEST(WaitPolicy, TheLongestGrowthIsOfAThreadInBoth) {
  using std::chrono::nanoseconds;
  const RunDelays before = {{"1", nanoseconds(5)}, {"2", nanoseconds(9)}, {"3", nanoseconds(0)}};
  const RunDelays now = {{"1", nanoseconds(7)}, {"2", nanoseconds(13)}, {"4", nanoseconds(99)}};
  EXPECT_EQ(longest_growth(before, now), nanoseconds(4));
}

// OpenMP's own choice would be to spin for 3 ms or more after each of the 20 loops.
TEST(WaitPolicy, WaitingThreadsLeaveTheirCoreToOthers) {
  if (omp_get_max_threads() == 1 || std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT"))
    GTEST_SKIP() << "nobody waits, or as the user wants";
  const BusyProcesses others;
  const Context ctx;
  compute_for(std::chrono::milliseconds(300));
  const std::clock_t begin = std::clock();
  for (int i = 0; i < 20; ++i) {
    int threads = 0;
#pragma omp parallel reduction(+ : threads)
    ++threads;
    ASSERT_GT(threads, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 0.030);
}

}  // namespace
}  // namespace doppio
