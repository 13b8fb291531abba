#include "distributed/process_group.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "distributed/local_transport.hpp"

namespace doppio {
namespace {

/// Runs `work(group)` on `ranks` ranks, each a thread.
template <class Work>
void on_ranks(int ranks, Work work) {
  const auto network = std::make_shared<LocalNetwork>(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([=] {
      ProcessGroup group([=] { return std::make_unique<LocalTransport>(network, rank); }, {});
      work(group);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(ProcessGroup, KnowsItsMembers) {
  on_ranks(2, [](ProcessGroup& group) {
    EXPECT_EQ(group.size(), 2);
    EXPECT_TRUE(group.member(1 - group.rank()).local);
    EXPECT_EQ(group.member(0).pid, getpid());
    EXPECT_EQ(group.name(1), str("rank 1 (", group.member(1).host, ", pid ", getpid(), ")"));
    EXPECT_EQ(group.version(), "threads");
  });
}

TEST(ProcessGroup, GathersValuesAndTextsInTheOrderOfTheRanks) {
  on_ranks(3, [](ProcessGroup& group) {
    EXPECT_EQ(group.all_gather_value(10 * group.rank()), std::vector<int>({0, 10, 20}));
    const std::string text(static_cast<std::size_t>(group.rank()), 'x');
    EXPECT_EQ(group.all_gather(text), std::vector<std::string>({"", "x", "xx"}));
    group.barrier();
  });
}

TEST(ProcessGroup, BroadcastsFromRankZero) {
  on_ranks(3, [](ProcessGroup& group) {
    EXPECT_EQ(group.broadcast(str("of rank ", group.rank())), "of rank 0");
    std::vector<float> values(3'000'000, static_cast<float>(group.rank() + 5));  // three pieces
    group.broadcast(values);
    EXPECT_EQ(std::count(values.begin(), values.end(), 5.0f), 3'000'000);
  });
}

TEST(ProcessGroup, MessagesOfOneWorkArriveBeforeItsEnd) {
  on_ranks(2, [](ProcessGroup& group) {
    const int other = 1 - group.rank();
    float sent = static_cast<float>(group.rank()), received = -1, doubled = -1;
    const ProcessGroup::Handle work = group.make_work();
    group.post(work, [&] {
      group.send(work, other, 2000, std::as_bytes(std::span(&sent, 1)));
      group.receive(work, other, 2000, std::as_writable_bytes(std::span(&received, 1)),
                    [&] { doubled = 2 * received; });
    });
    work->wait();
    EXPECT_EQ(received, static_cast<float>(other));
    EXPECT_EQ(doubled, static_cast<float>(2 * other));
  });
}

}  // namespace
}  // namespace doppio
