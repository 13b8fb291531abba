// What `doppio train` logs of its data before it starts.
#include <gtest/gtest.h>

#include "tools/training_folder.hpp"

namespace doppio {
namespace {

class TrainLog : public testing::Test {
 protected:
  TrainingFolder folder;  // with 13 images to train on and 13 to test on
};

TEST_F(TrainLog, GivesEpochsAndTestsBeforeTrainingStarts) {
  const Outcome r = run_doppio(folder.train({"--set", "max_iter=6", "--set", "iter_size=2"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const std::size_t train = r.err.find(
      "] Train: 13 images, batch 5 x iter_size 2: 1.3 iterations an epoch; 6 iterations are 4.62 "
      "epochs\n");
  const std::size_t test =
      r.err.find("] Test net #0: 13 images, 2 batches of 4: reads 8 of 13 images\n");
  const std::size_t start = r.err.find("] Starting Optimization\n");
  ASSERT_NE(train, std::string::npos) << r.err;
  ASSERT_NE(test, std::string::npos) << r.err;
  EXPECT_LT(train, test);
  EXPECT_LT(test, start);
}

TEST_F(TrainLog, NamesTheIterationOfAResumedRun) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=4"})).exit_code, 0);
  const Outcome r = run_doppio(folder.train({"--resume", "--set", "max_iter=13"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err,
                       "] Train: 13 images, batch 5: 2.6 iterations an epoch; 13 iterations are 5 "
                       "epochs; resumed at iteration 4 of 13\n"))
      << r.err;
}

}  // namespace
}  // namespace doppio
