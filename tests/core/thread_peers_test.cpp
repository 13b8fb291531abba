#include "core/thread_peers.hpp"

#include <atomic>

#include "doppio/context.hpp"
#include "support/expect_error.hpp"
#include "support/on_threads.hpp"

namespace doppio {
namespace {

using Spans = std::vector<std::span<const float>>;
using Targets = std::vector<std::span<float>>;

TEST(ThreadPeers, ExchangeWithEveryOther) {
  constexpr int kParts = 3, kRounds = 50;
  ThreadPeers all(kParts);
  std::atomic<int> wrong = 0;
  on_threads(kParts, [&](int me) {
    Context ctx;
    Peers& peers = all.part(me);
    EXPECT_EQ(peers.part(), me);
    EXPECT_EQ(peers.parts(), kParts);
    for (int round = 0; round < kRounds; ++round) {
      // Part p sends q + 1 times the number 100 * p + 10 * q + round to part q.
      std::vector<std::vector<float>> sent, received;
      for (int q = 0; q < kParts; ++q) {
        sent.emplace_back(q + 1, static_cast<float>(100 * me + 10 * q + round));
        received.emplace_back(me + 1, -1.0f);
      }
      peers.exchange(ctx, Spans(sent.begin(), sent.end()),
                     Targets(received.begin(), received.end()));
      for (int p = 0; p < kParts; ++p)
        for (const float value : received[static_cast<std::size_t>(p)])
          wrong += value != (p == me ? -1.0f : static_cast<float>(100 * p + 10 * me + round));
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPeers, ThrowAfterOneHasFailed) {
  ThreadPeers all(2);
  const auto exchange = [&] {
    Context ctx;
    all.part(0).exchange(ctx, Spans(2), Targets(2));
  };
  on_threads(2, [&](int me) {
    if (me == 1)
      all.abort();
    else
      EXPECT_ERROR(exchange(), "can no longer run together, because one has failed");
  });
  EXPECT_ERROR(exchange(), "can no longer run together");
}

}  // namespace
}  // namespace doppio
