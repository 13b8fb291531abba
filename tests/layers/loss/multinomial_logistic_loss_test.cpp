#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class MultinomialLogisticLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, MultinomialLogisticLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(MultinomialLogisticLossTest, ComputesNegativeLogLikelihoodAndItsGradient) {
  LayerHarness h("type: 'MultinomialLogisticLoss'", {{2, 3}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {0.5f, 0.25f, 0.25f, 0.1f, 0.1f, 0.8f});
  h.bottom_data(1, {1, 0});
  h.forward();
  expect_values(h.top(0).data, {(1.3862944f + 2.3025851f) / 2});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {0, -4, 0, -10, 0, 0});
}

TEST_P(MultinomialLogisticLossTest, StaysFiniteAtProbabilityZero) {
  LayerHarness h("type: 'MultinomialLogisticLoss'", {{1, 2}, {1}}, {.device = GetParam()});
  h.bottom_data(0, {0, 1});
  h.bottom_data(1, {0});
  h.forward();
  expect_values(h.top(0).data, {46.0517f});
  h.top_grad(0, {1});
  h.backward();
  EXPECT_NEAR(values(h.bottom(0).grad)[0] / 1e20f, -1, 1e-5);
}

TEST(MultinomialLogisticLossErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'MultinomialLogisticLoss'", {{2, 3}, {2, 3}}),
               "a bottom of 2 x 3 needs 2 labels, one per item, not 2 x 3");
  LayerHarness h("type: 'MultinomialLogisticLoss'", {{1, 2}, {1}});
  h.bottom_data(1, {2});
  EXPECT_ERROR(h.forward(), "label 2 in place 0 is out of range");
}

}  // namespace
}  // namespace doppio
