#include "net/graph_replay.hpp"

#include <gtest/gtest.h>

#include "support/counting_accelerator.hpp"

namespace doppio {
namespace {

class GraphReplayTest : public testing::Test {
 protected:
  GraphReplayTest() {
    device->captures = true;
    x.reshape({4});
  }

  /// Runs `passes` passes. Returns for each whether a graph did the work.
  std::vector<bool> run(int passes, const PassKey& key = {}) {
    std::vector<bool> by_graph;
    for (int i = 0; i < passes; ++i) {
      ++ctx.pass;
      by_graph.push_back(replay.run(key, [&] {
        ++runs;
        if (runs == refused_run) throw NotCapturable("a wait");
        x.update(ctx);
      }));
    }
    return by_graph;
  }

  std::shared_ptr<CountingAccelerator> device = std::make_shared<CountingAccelerator>();
  Context ctx{device};
  GraphReplay replay{ctx, "net"};
  Tensor x;
  int runs = 0, refused_run = 0;
};

TEST_F(GraphReplayTest, CapturesTheThirdPassAndReplaysTheOthers) {
  EXPECT_EQ(run(5), (std::vector<bool>{false, false, true, true, true}));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(replay.replay_count(), 2u);
  EXPECT_EQ(device->replayed, (std::vector<std::uint64_t>{3, 4, 5})) << "numbers of the passes";
}

TEST_F(GraphReplayTest, EveryKeyHasAGraphOfItsOwn) {
  PassKey other;
  other.sources.push_back({nullptr, {2, 3}});
  run(3);
  EXPECT_EQ(run(2, other), (std::vector<bool>{true, true}));
  EXPECT_EQ(run(1), (std::vector<bool>{true}));
  EXPECT_EQ(runs, 4);
}

TEST_F(GraphReplayTest, AfterATensorHasMovedPassesWarmUpAgain) {
  run(4);
  x.reshape({1000});
  EXPECT_EQ(run(4), (std::vector<bool>{false, false, true, true}));
}

TEST_F(GraphReplayTest, AfterAResetPassesWarmUpAgain) {
  run(4);
  replay.reset();
  EXPECT_EQ(run(3), (std::vector<bool>{false, false, true}));
}

TEST_F(GraphReplayTest, WhileTheHostHasTheOnlyCopyNothingIsReplayed) {
  run(4);
  x.write_host();
  EXPECT_EQ(run(1), (std::vector<bool>{false}));
  EXPECT_EQ(run(1), (std::vector<bool>{true})) << "the device has a copy again";
}

TEST_F(GraphReplayTest, LayersThatRefuseACaptureRunForGood) {
  refused_run = 3;
  EXPECT_EQ(run(6), std::vector<bool>(6, false));
  EXPECT_EQ(runs, 7) << "one was broken off";
  EXPECT_TRUE(device->replayed.empty());
}

TEST_F(GraphReplayTest, DevicesThatRefuseACaptureRunForGood) {
  device->captures = false;
  EXPECT_EQ(run(6), std::vector<bool>(6, false));
  EXPECT_EQ(runs, 7);
}

}  // namespace
}  // namespace doppio
