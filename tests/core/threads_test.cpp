#include "core/threads.hpp"

#include <gtest/gtest.h>
#include <omp.h>

namespace doppio {
namespace {

TEST(Threads, OnePieceOrLittleWorkStaysInOneThread) {
  EXPECT_FALSE(worth_threads(1, 100 * kLittleWork));
  EXPECT_FALSE(worth_threads(0, 100 * kLittleWork));
  EXPECT_FALSE(worth_threads(kLittleWork, 1));
  EXPECT_FALSE(worth_threads(2, kLittleWork / 2));
}

TEST(Threads, TwoPiecesOfMuchWorkUseAllThreads) {
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

}  // namespace
}  // namespace doppio
