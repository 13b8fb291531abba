#include "distributed/rank_peers.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "distributed/on_ranks.hpp"
#include "doppio/context.hpp"

namespace doppio {
namespace {

TEST(RankPeers, ExchangeWithTheOtherPartsOfTheirCopy) {
  constexpr int kParts = 3, kRanks = 6;
  std::atomic<int> wrong = 0;
  on_ranks(kRanks, [&](const std::shared_ptr<ProcessGroup>& group) {
    Context ctx;
    RankPeers peers(*group, kParts);
    const int me = peers.part(), copy = group->rank() / kParts;
    EXPECT_EQ(me, group->rank() % kParts);
    EXPECT_EQ(peers.parts(), kParts);
    for (int round = 0; round < 5; ++round) {
      // Part p of copy c sends q + 1 times the number 1000 * c + 100 * p + 10 * q + round to q.
      const auto number = [&](int p, int q) {
        return static_cast<float>(1000 * copy + 100 * p + 10 * q + round);
      };
      std::vector<std::vector<float>> sent, received;
      for (int q = 0; q < kParts; ++q) {
        sent.emplace_back(q + 1, number(me, q));
        received.emplace_back(me + 1, -1.0f);
      }
      peers.exchange(ctx, std::vector<std::span<const float>>(sent.begin(), sent.end()),
                     std::vector<std::span<float>>(received.begin(), received.end()));
      for (int p = 0; p < kParts; ++p)
        for (const float value : received[static_cast<std::size_t>(p)])
          wrong += value != (p == me ? -1.0f : number(p, me));
    }
  });
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace doppio
