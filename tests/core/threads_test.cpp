#include "core/threads.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "doppio/context.hpp"

namespace doppio {
namespace {

TEST(Threads, OnePieceOrLittleWorkWakesNobody) {
  EXPECT_FALSE(worth_threads(1, 100 * kLittleWork));
  EXPECT_FALSE(worth_threads(0, 100 * kLittleWork));
  EXPECT_FALSE(worth_threads(kLittleWork, 1));
  EXPECT_FALSE(worth_threads(2, kLittleWork / 2));
}

TEST(Threads, TwoPiecesOfMuchWorkWakeAll) {
  EXPECT_TRUE(worth_threads(kLittleWork + 1, 1));
  EXPECT_TRUE(worth_threads(2, kLittleWork));
}

TEST(Threads, LittleWorkStaysInTheCaller) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(3);
  {
    const ThreadsFor little(kLittleWork);
    EXPECT_EQ(omp_get_max_threads(), 1);
  }
  {
    const ThreadsFor much(kLittleWork + 1);
    EXPECT_EQ(omp_get_max_threads(), 3);
  }
  EXPECT_EQ(omp_get_max_threads(), 3);
  omp_set_num_threads(before);
}

// OpenMP's own choice would be to spin for 3 ms or more after each of the 20 loops.
TEST(Threads, WaitingThreadsLeaveTheirCore) {
  if (omp_get_max_threads() == 1 || std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT"))
    GTEST_SKIP() << "nobody waits, or as the user wants";
  const Context ctx;
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
