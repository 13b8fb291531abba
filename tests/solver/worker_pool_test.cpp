#include "solver/worker_pool.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace doppio {
namespace {

TEST(WorkerPool, WorksForAllMembersAtOnceOnThreadsThatStay) {
  WorkerPool pool(3);
  std::vector<std::thread::id> first(3), second(3);
  std::barrier<> all_there(3);  // blocks forever unless all members run concurrently
  pool.run([&](std::size_t member) {
    first[member] = std::this_thread::get_id();
    all_there.arrive_and_wait();
  });
  pool.run([&](std::size_t member) { second[member] = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first[0], std::this_thread::get_id());
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 3u);
}

TEST(WorkerPool, OneMemberNeedsNoThread) {
  WorkerPool pool(1);
  int runs = 0;
  for (int i = 0; i < 3; ++i) pool.run([&](std::size_t) { ++runs; });
  EXPECT_EQ(runs, 3);
}

TEST(WorkerPool, ThrowsWhatWasThrownFirstAndLetsTheOthersEnd) {
  WorkerPool pool(3);
  for (int i = 0; i < 20; ++i) {
    std::promise<void> failure;
    std::shared_future<void> failed = failure.get_future().share();
    const auto work = [&](std::size_t member) {
      if (member == 1) throw std::runtime_error("the cause");
      failed.wait();
      throw std::runtime_error("what follows");
    };
    try {
      pool.run(work, [&] { failure.set_value(); });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(std::string(e.what()), "the cause");
    }
  }
  EXPECT_NO_THROW(pool.run([](std::size_t) {}));
}

}  // namespace
}  // namespace doppio
