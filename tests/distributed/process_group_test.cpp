#include "distributed/process_group.hpp"

#include <gtest/gtest.h>

#include "distributed/on_ranks.hpp"

namespace doppio {
namespace {

TEST(ProcessGroup, KnowsItsMembers) {
  on_ranks(2, [](const std::shared_ptr<ProcessGroup>& group) {
    EXPECT_EQ(group->size(), 2);
    EXPECT_TRUE(group->member(1 - group->rank()).local);
    EXPECT_EQ(group->member(0).pid, getpid());
    EXPECT_EQ(group->name(1), str("rank 1 (", group->member(1).host, ", pid ", getpid(), ")"));
    EXPECT_EQ(group->version(), "threads");
  });
}

TEST(ProcessGroup, GathersValuesAndTextsInTheOrderOfTheRanks) {
  on_ranks(3, [](const std::shared_ptr<ProcessGroup>& group) {
    EXPECT_EQ(group->all_gather_value(10 * group->rank()), std::vector<int>({0, 10, 20}));
    const std::string text(static_cast<std::size_t>(group->rank()), 'x');
    EXPECT_EQ(group->all_gather(text), std::vector<std::string>({"", "x", "xx"}));
    group->barrier();
  });
}

TEST(ProcessGroup, BroadcastsFromRankZero) {
  on_ranks(3, [](const std::shared_ptr<ProcessGroup>& group) {
    EXPECT_EQ(group->broadcast(str("of rank ", group->rank())), "of rank 0");
    std::vector<float> values(3'000'000, static_cast<float>(group->rank() + 5));  // three pieces
    group->broadcast(values);
    EXPECT_EQ(std::count(values.begin(), values.end(), 5.0f), 3'000'000);
  });
}

TEST(ProcessGroup, BroadcastsAmongEveryOtherRank) {
  on_ranks(5, [](const std::shared_ptr<ProcessGroup>& group) {
    std::vector<float> values = {static_cast<float>(group->rank())};
    group->broadcast(values, 2);
    EXPECT_EQ(values[0], static_cast<float>(group->rank() % 2));
  });
}

TEST(ProcessGroup, ExchangesAmongSomeRanks) {
  on_ranks(3, [](const std::shared_ptr<ProcessGroup>& group) {
    constexpr std::size_t kCount = 2'500'000;  // three messages
    const std::size_t before = group->bytes_sent();
    if (group->rank() == 1) {
      const std::vector<float> values(kCount, 7);
      const ProcessGroup::Outgoing out[] = {{2, values}, {2, std::span(values).first(1)}};
      group->exchange(out, {});
      EXPECT_EQ(group->bytes_sent() - before, 4 * (kCount + 1));
    } else if (group->rank() == 2) {
      std::vector<float> values(kCount), more(1);
      const ProcessGroup::Incoming in[] = {{1, values}, {1, more}};
      group->exchange({}, in);
      EXPECT_EQ(std::count(values.begin(), values.end(), 7.0f), 2'500'000);
      EXPECT_EQ(more[0], 7);
    }
  });
}

TEST(ProcessGroup, MessagesOfOneWorkArriveBeforeItsEnd) {
  on_ranks(2, [](const std::shared_ptr<ProcessGroup>& group) {
    const int other = 1 - group->rank();
    float sent = static_cast<float>(group->rank()), received = -1, doubled = -1;
    const ProcessGroup::Handle work = group->make_work();
    group->post(work, [&] {
      group->send(work, other, 2000, std::as_bytes(std::span(&sent, 1)));
      group->receive(work, other, 2000, std::as_writable_bytes(std::span(&received, 1)),
                     [&] { doubled = 2 * received; });
    });
    work->wait();
    EXPECT_EQ(received, static_cast<float>(other));
    EXPECT_EQ(doubled, static_cast<float>(2 * other));
  });
}

}  // namespace
}  // namespace doppio
