#include "data/prefetch.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "core/threads.hpp"

namespace doppio {
namespace {

using Batch = std::vector<int>;
using Numbers = Prefetcher<int, Batch>;

/// Prefetches the squares of 0, 1, 2, ... and throws when it claims or makes given numbers.
struct Squares {
  Numbers::Steps steps() {
    return {[this] {
      if (next == bad_claim) throw std::runtime_error("claim");
      return next++;
            },
            [this](int worker, const int& item, Batch& batch, Index i) {
      if (item == bad_make || item == bad_make + 1)
        throw std::runtime_error("make " + std::to_string(item));
      batch[static_cast<std::size_t>(i)] = item * item;
      ++made;
      if (worker > last_worker) last_worker = worker;
    }};
  }
  int next = 0, bad_claim = -1, bad_make = -2;
  std::atomic<int> made = 0, last_worker = 0;
};

std::vector<Batch> slots(int n, std::size_t items) {
  return std::vector<Batch>(static_cast<std::size_t>(n), Batch(items));
}

TEST(Prefetcher, HandsOutBatchesInOrderForAnyNumberOfWorkers) {
  for (const int workers : {1, 2, 4, 9})
    for (const Index items : {1, 5, 64}) {
      Squares squares;
      Numbers numbers(slots(3, static_cast<std::size_t>(items)), items, workers, squares.steps());
      int expected = 0;
      for (int b = 0; b < 50; ++b) {
        const Batch& batch = numbers.take();
        for (const int value : batch) {
          ASSERT_EQ(value, expected * expected);
          ++expected;
        }
        numbers.release();
      }
    }
}

TEST(Prefetcher, StopsAheadWhenAllSlotsAreFull) {
  Squares squares;
  {
    Numbers numbers(slots(3, 4), 4, 2, squares.steps());
    numbers.take();
    while (squares.made < 12) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(squares.made, 12);
}

TEST(Prefetcher, CountsTheSecondsWaited) {
  Numbers::Steps slow{[] { return 0; },
                      [](int, const int&, Batch&, Index) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
                      }};
  Numbers numbers(slots(2, 1), 1, 1, slow);
  for (int b = 0; b < 5; ++b) {
    numbers.take();
    numbers.release();
  }
  EXPECT_GT(numbers.waited_seconds(), 0.03);
}

template <class F>
std::string thrown_by(F action) {
  try {
    action();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "nothing";
}

TEST(Prefetcher, ThrowsTheFirstErrorOfABatchWhenItIsTaken) {
  for (const int workers : {1, 4}) {
    Squares squares;
    squares.bad_make = 6;
    Numbers numbers(slots(4, 4), 4, workers, squares.steps());
    EXPECT_EQ(numbers.take()[3], 9);
    EXPECT_EQ(thrown_by([&] { numbers.take(); }), "make 6");
    EXPECT_EQ(thrown_by([&] { numbers.take(); }), "make 6");
  }
}

TEST(Prefetcher, ThrowsWhenTheSourceFails) {
  for (const int workers : {1, 4}) {
    Squares squares;
    squares.bad_claim = 5;
    Numbers numbers(slots(4, 4), 4, workers, squares.steps());
    EXPECT_EQ(numbers.take()[3], 9);
    numbers.release();
    EXPECT_EQ(thrown_by([&] { numbers.take(); }), "claim");
    EXPECT_EQ(thrown_by([&] { numbers.take(); }), "claim");
  }
}

TEST(Prefetcher, StopsAtAnyTime) {
  for (int i = 0; i < 200; ++i) {
    Squares squares;
    Numbers numbers(slots(2, 8), 8, 3, squares.steps());
    if (i % 2) numbers.take();
  }
}

TEST(Prefetcher, AutomaticWorkersLeaveACore) {
  EXPECT_EQ(worker_count(3), 3);
  EXPECT_GE(worker_count(0), 1);
  EXPECT_LE(worker_count(0),
            std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1));
}

}  // namespace
}  // namespace doppio
