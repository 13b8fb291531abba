#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class BatchNormTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, BatchNormTest, testing::ValuesIn(test_devices()),
                         device_test_name);

std::string with(const std::string& param, const std::string& phase = "TRAIN") {
  return "type: 'BatchNorm' phase: " + phase + " batch_norm_param { " + param + " }";
}

// Mean 4 and variance 5 over the whole channel.
TEST_P(BatchNormTest, NormalizesByBatchStatistics) {
  LayerHarness h(with("eps: 0"), {{2, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 3, 5, 7});
  h.forward();
  expect_values(h.top(0).data, {-1.341641f, -0.4472136f, 0.4472136f, 1.341641f});
  h.top_grad(0, {1, 0, 0, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {0.1341641f, -0.1788854f, -0.0447214f, 0.0894427f});
}

TEST_P(BatchNormTest, NormalizesEachChannel) {
  LayerHarness h(with("eps: 4"), {{2, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 10, 3, 20});
  h.forward();
  const float a = 1 / std::sqrt(5.0f), b = 5 / std::sqrt(29.0f);
  expect_values(h.top(0).data, {-a, -b, a, b});
  expect_values(h.param(0).data, {2, 15});
  expect_values(h.param(1).data, {2, 50});
}

TEST_P(BatchNormTest, AccumulatesMovingAveragesWithUnbiasedVariance) {
  LayerHarness h(with("moving_average_fraction: 0.5"), {{2, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 3, 5, 7});
  h.forward();
  expect_values(h.param(0).data, {4});
  expect_values(h.param(1).data, {5 * 4.0f / 3});
  expect_values(h.param(2).data, {1});
  h.forward();
  expect_values(h.param(0).data, {6});
  expect_values(h.param(1).data, {10});
  expect_values(h.param(2).data, {1.5f});
}

TEST_P(BatchNormTest, UsesMovingAveragesInTestPhase) {
  for (const bool in_place : {false, true}) {
    LayerHarness h(with("eps: 0", "TEST"), {{1, 2, 2}},
                   {.in_place = in_place, .device = GetParam()});
    h.param_data(0, {8, 2});
    h.param_data(1, {32, 2});
    h.param_data(2, {2});
    h.bottom_data(0, {4, 8, 1, 3});
    h.forward();
    expect_values(h.top(0).data, {0, 1, 0, 2});
    expect_values(h.param(2).data, {2});
    h.top_grad(0, {4, 4, 4, 4});
    h.backward();
    expect_values(h.bottom(0).grad, {1, 1, 4, 4});
  }
}

TEST_P(BatchNormTest, MovingAveragesOfScaleFactorZeroAreZero) {
  LayerHarness h(with("eps: 0.25 use_global_stats: true"), {{1, 1, 2}}, {.device = GetParam()});
  h.param_data(0, {100});
  h.param_data(1, {100});
  h.bottom_data(0, {3, -5});
  h.forward();
  expect_values(h.top(0).data, {6, -10});
}

TEST_P(BatchNormTest, UseGlobalStatsOverridesThePhase) {
  LayerHarness h(with("use_global_stats: false", "TEST"), {{2, 1}}, {.device = GetParam()});
  h.bottom_data(0, {1, 3});
  h.forward();
  expect_values(h.param(0).data, {2});
}

TEST_P(BatchNormTest, BackwardInPlaceDoesNotReadTheOverwrittenTop) {
  LayerHarness h(with("eps: 0"), {{2, 1, 2}}, {.in_place = true, .device = GetParam()});
  h.bottom_data(0, {1, 3, 5, 7});
  h.forward();
  h.bottom_data(0, {0, 0, 0, 0});
  h.top_grad(0, {1, 0, 0, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {0.1341641f, -0.1788854f, -0.0447214f, 0.0894427f});
}

TEST_P(BatchNormTest, OneAxisIsOneChannelAndOneValueHasVarianceZero) {
  LayerHarness vector(with("eps: 0"), {{4}}, {.device = GetParam()});
  vector.bottom_data(0, {1, 3, 5, 7});
  vector.forward();
  expect_values(vector.param(1).data, {5 * 4.0f / 3});
  LayerHarness single(with(""), {{1, 1}}, {.device = GetParam()});
  single.bottom_data(0, {9});
  single.forward();
  expect_values(single.top(0).data, {0});
  expect_values(single.param(1).data, {0});
}

// A sum of squares in float would lose this variance.
TEST_P(BatchNormTest, VarianceIsAccurateForLargeMeans) {
  LayerHarness h(with("eps: 0"), {{2, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {100001, 100003, 100005, 100007});
  h.forward();
  expect_values(h.top(0).data, {-1.341641f, -0.4472136f, 0.4472136f, 1.341641f});
}

TEST(BatchNormErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("eps: -1"), {{1, 1}}), "eps -1 is negative");
  EXPECT_ERROR(LayerHarness(with("moving_average_fraction: 1.5"), {{1, 1}}),
               "moving_average_fraction 1.5 is not between 0 and 1");
  EXPECT_ERROR(LayerHarness(with(""), {{}}), "a scalar has no channels to normalize");
  LayerHarness h(with(""), {{1, 2}});
  h.bottom(0).reshape({1, 3});
  EXPECT_ERROR(h.reshape(), "the bottom has 3 channels, but the statistics are for 2");
}

}  // namespace
}  // namespace doppio
