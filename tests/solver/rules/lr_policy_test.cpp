#include "solver/rules/lr_policy.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "solver/solver_text.hpp"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

LearningRatePolicy policy(const std::string& text) {
  return LearningRatePolicy(solver_param("base_lr: 0.5 " + text));
}

std::string error_in(const std::string& text) {
  return error_of([&] { LearningRatePolicy(solver_param(text)); });
}

TEST(LearningRate, FixedStays) { EXPECT_FLOAT_EQ(policy("lr_policy: 'fixed'").rate(1000), 0.5f); }

TEST(LearningRate, StepDropsEveryStepsize) {
  const LearningRatePolicy p = policy("lr_policy: 'step' gamma: 0.1 stepsize: 10");
  EXPECT_FLOAT_EQ(p.rate(9), 0.5f);
  EXPECT_FLOAT_EQ(p.rate(10), 0.05f);
  EXPECT_FLOAT_EQ(p.rate(29), 0.005f);
}

TEST(LearningRate, ExpDropsEveryIteration) {
  EXPECT_FLOAT_EQ(policy("lr_policy: 'exp' gamma: 0.5").rate(3), 0.0625f);
}

TEST(LearningRate, InvFollowsAPower) {
  EXPECT_FLOAT_EQ(policy("lr_policy: 'inv' gamma: 0.5 power: 2").rate(2), 0.125f);
}

TEST(LearningRate, PolyReachesZeroAndStaysThere) {
  const LearningRatePolicy p = policy("lr_policy: 'poly' power: 2 max_iter: 4");
  EXPECT_FLOAT_EQ(p.rate(2), 0.125f);
  EXPECT_EQ(p.rate(4), 0.0f);
  EXPECT_EQ(p.rate(5), 0.0f);
}

TEST(LearningRate, SigmoidFollowsTheLogisticFunction) {
  const LearningRatePolicy p = policy("lr_policy: 'sigmoid' gamma: 2 stepsize: 3");
  EXPECT_FLOAT_EQ(p.rate(3), 0.25f);
  EXPECT_FLOAT_EQ(p.rate(4), 0.5f / (1 + std::exp(-2.0f)));
}

TEST(LearningRate, MultistepAdvancesAtMostOneStepPerCall) {
  LearningRatePolicy p =
      policy("lr_policy: 'multistep' gamma: 0.5 stepvalue: 2 stepvalue: 2 stepvalue: 5");
  const float expected[] = {0.5f, 0.5f, 0.25f, 0.125f, 0.125f, 0.0625f, 0.0625f};
  for (int n = 0; n < 7; ++n) {
    EXPECT_FLOAT_EQ(p.rate(n), expected[n]) << n;
    EXPECT_FLOAT_EQ(p.advance(n), expected[n]) << n;
  }
  EXPECT_EQ(p.current_step(), 3);
  SolverState state;
  p.save(state);
  EXPECT_EQ(state.current_step(), 3);
  state.set_current_step(1);
  p.restore(state);
  EXPECT_FLOAT_EQ(p.rate(0), 0.25f);
  state.set_current_step(4);
  EXPECT_ERROR(p.restore(state), "has passed 4 stepvalues, but the solver has only 3");
}

TEST(LearningRate, CosineFallsToMinLr) {
  const LearningRatePolicy p = policy("lr_policy: 'cosine' max_iter: 4 min_lr: 0.1");
  EXPECT_FLOAT_EQ(p.rate(0), 0.5f);
  EXPECT_FLOAT_EQ(p.rate(1), 0.1f + 0.4f * (1 + std::sqrt(0.5f)) / 2);
  EXPECT_FLOAT_EQ(p.rate(2), 0.3f);
  EXPECT_FLOAT_EQ(p.rate(4), 0.1f);
  EXPECT_FLOAT_EQ(p.rate(9), 0.1f);
  EXPECT_EQ(policy("lr_policy: 'cosine' max_iter: 4").rate(4), 0.0f);
}

TEST(LearningRate, MinLrIsTheFloorOfEveryPolicy) {
  EXPECT_FLOAT_EQ(policy("lr_policy: 'exp' gamma: 0.5 min_lr: 0.2").rate(1), 0.25f);
  EXPECT_FLOAT_EQ(policy("lr_policy: 'exp' gamma: 0.5 min_lr: 0.2").rate(2), 0.2f);
  EXPECT_FLOAT_EQ(policy("lr_policy: 'poly' power: 1 max_iter: 4 min_lr: 0.1").rate(2), 0.3f);
  EXPECT_FLOAT_EQ(policy("lr_policy: 'poly' power: 1 max_iter: 4 min_lr: 0.1").rate(9), 0.1f);
  // Without min_lr a rate may be negative, as in Caffe.
  EXPECT_FLOAT_EQ(LearningRatePolicy(solver_param("base_lr: -1 lr_policy: 'fixed'")).rate(0), -1);
}

TEST(LearningRate, WarmsUpLinearly) {
  const LearningRatePolicy p = policy("lr_policy: 'fixed' warmup_iter: 4 warmup_start_lr: 0.1");
  const float expected[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.5f};
  for (int n = 0; n < 6; ++n) EXPECT_FLOAT_EQ(p.rate(n), expected[n]) << n;
}

TEST(LearningRate, WarmsUpFromZeroWithoutAnIterationAtZero) {
  const LearningRatePolicy p =
      policy("lr_policy: 'step' gamma: 0.5 stepsize: 2 warmup_iter: 4 min_lr: 0.4");
  EXPECT_FLOAT_EQ(p.rate(0), 0.125f);
  EXPECT_FLOAT_EQ(p.rate(1), 0.25f);
  EXPECT_FLOAT_EQ(p.rate(2), 0.3f);  // warm-up rises to the policy's rate, which is min_lr
  EXPECT_FLOAT_EQ(p.rate(3), 0.4f);
  EXPECT_FLOAT_EQ(p.rate(4), 0.4f);
}

TEST(LearningRate, UnsetFieldsAreZeroAsInCaffe) {
  const auto step = policy("lr_policy: 'step' stepsize: 2");
  EXPECT_EQ(step.rate(1), 0.5f);
  EXPECT_EQ(step.rate(2), 0);
  EXPECT_EQ(policy("lr_policy: 'multistep' gamma: 0.1").rate(100), 0.5f);
}

TEST(LearningRate, AStepvalueThatDecreasesIsReachedOneCallLater) {
  auto p = policy("lr_policy: 'multistep' gamma: 0.5 stepvalue: 2 stepvalue: 1");
  EXPECT_EQ(p.advance(1), 0.5f);
  EXPECT_EQ(p.advance(2), 0.25f);
  EXPECT_EQ(p.advance(3), 0.125f);
}

TEST(LearningRate, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "lr_policy is missing; \"fixed\" keeps"},
      {"lr_policy: 'stp'", "unknown lr_policy 'stp'; did you mean 'step'"},
      {"lr_policy: 'inv' gamma: -1", "gamma must not be negative, it is -1"},
      {"lr_policy: 'step' gamma: 0.1",
       "needs stepsize > 0, the iterations between two steps; it is 0"},
      {"lr_policy: 'poly'", "'poly' needs max_iter > 0, where the learning rate is lowest"},
      {"lr_policy: 'cosine'", "'cosine' needs max_iter > 0"},
      {"lr_policy: 'fixed' base_lr: 1 min_lr: 2", "min_lr 2 exceeds base_lr 1"},
      {"lr_policy: 'fixed' warmup_iter: -1", "warmup_iter must not be negative, it is -1"},
      {"lr_policy: 'fixed' warmup_start_lr: inf", "warmup_start_lr must be finite"},
      {"lr_policy: 'plateau'",
       "lr_policy 'plateau' needs 0 < gamma < 1, the factor of each drop; it is 0"},
      {"lr_policy: 'plateau' gamma: 10",
       "lr_policy 'plateau' needs 0 < gamma < 1, the factor of each drop; it is 10"},
      {"lr_policy: 'plateau' gamma: 0.1",
       "'plateau' needs max_iter > 0, where training ends at the latest; it is 0"},
      {"lr_policy: 'plateau' gamma: 0.1 max_iter: 9", "lr_policy 'plateau' needs plateau_metric"},
      {"lr_policy: 'fixed' min_lr: -1", "min_lr must not be negative, it is -1"},
      {"lr_policy: 'fixed' base_lr: inf", "base_lr must be finite"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_NE(error_in(text).find(message), std::string::npos) << text << ": " << error_in(text);
}

}  // namespace
}  // namespace doppio
