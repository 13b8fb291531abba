// Which images `doppio test` uses, and the weight of each.
#include <gtest/gtest.h>

#include <regex>

#include "data/image/image_file.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

class TestOnce : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  }

  Outcome test(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"test", "--model=" + folder / "net.prototxt",
                                          "--weights=" + folder / "noise_iter_1.caffemodel"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments);
  }

  /// Returns the mean of output `name` in a log.
  static double mean(const std::string& log, const std::string& name) {
    std::smatch match;
    EXPECT_TRUE(std::regex_search(log, match, std::regex("\\] " + name + " = ([-.e\\d]+)"))) << log;
    return std::stod(match[1]);
  }

  TrainingFolder folder;  // its test set has 13 images in batches of 4
};

TEST_F(TestOnce, CoversTheSetOnceAndWeighsByImages) {
  const Outcome all_at_once = test({"--set", "test:data.batch_size=13", "--iterations=1"});
  for (const int batch : {1, 4, 13, 20}) {
    const Outcome r = test({"--set", "test:data.batch_size=" + std::to_string(batch)});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(contains(r.err, "] Testing on all 13 images, once.\n")) << r.err;
    EXPECT_EQ(r.out, all_at_once.out) << batch;
    for (const char* output : {"loss", "accuracy"})
      EXPECT_NEAR(mean(r.err, output), mean(all_at_once.err, output), 1e-5) << batch;
  }
  EXPECT_TRUE(contains(all_at_once.out, " of 13 labels\n"));
}

TEST_F(TestOnce, SeveralNetsAndViewsAreTestedOnTheWholeSetToo) {
  const std::string weights = folder / "noise_iter_1.caffemodel";
  const Outcome nets = test({"--weights=" + weights + "," + weights});
  EXPECT_TRUE(contains(nets.out, "mean of 2 nets: ")) << nets.err;
  EXPECT_TRUE(nets.out.ends_with(" of 13 labels\n")) << nets.out;
  EXPECT_TRUE(test({"--views=5"}).out.ends_with(" of 13 labels\n"));
}

TEST_F(TestOnce, AShardIsTestedOnItsPart) {
  const Outcome r = test({"--set", "test:data.shards=2", "--set", "test:data.shard=1"});
  EXPECT_TRUE(r.out.ends_with(" of 6 labels\n")) << r.out << r.err;
}

TEST_F(TestOnce, IterationsThatWrapAroundSaySo) {
  const Outcome r = test({"--iterations=5", "--quiet"});
  EXPECT_TRUE(contains(r.err, "--iterations=5 x batch 4: 20 images are 1.538 passes over 13\n"))
      << r.err;
  EXPECT_TRUE(r.out.ends_with(" of 20 labels\n")) << r.out;
  EXPECT_EQ(test({"--iterations=3", "--quiet"}).err, "");
}

TEST_F(TestOnce, ANetWithAFixedBatchFillsTheLastOneUp) {
  folder.write_net("layer { name: \"accuracy\"",
                   "layer { name: \"fixed\" type: \"Reshape\" bottom: \"ip\" top: \"fixed\" "
                   "include { phase: TEST } reshape_param { shape { dim: 4 dim: 4 } } }\n"
                   "layer { name: \"accuracy\"");
  const Outcome r = test();
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err,
                       "The last batch is filled with the first 3 images, which count twice, "
                       "because the net cannot run on 1 of 4: "))
      << r.err;
  EXPECT_TRUE(r.out.ends_with(" of 16 labels\n")) << r.out;
}

TEST_F(TestOnce, DataWithoutAnEndIsTestedOnFiftyBatches) {
  folder.write_net("type: \"Data\" top: \"data\" top: \"label\" include { phase: TEST }",
                   "type: \"DummyData\" top: \"data\" top: \"label\" include { phase: TEST } "
                   "dummy_data_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } shape { dim: 2 } }");
  const Outcome r = test();
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Running for 50 iterations.\n"));
  EXPECT_TRUE(r.out.ends_with(" of 100 labels\n")) << r.out;
}

}  // namespace
}  // namespace doppio
