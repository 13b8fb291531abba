#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class EltwiseTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, EltwiseTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(EltwiseTest, SumsByDefault) {
  LayerHarness h("type: 'Eltwise'", {{2}, {2}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.bottom_data(1, {10, 20});
  h.bottom_data(2, {100, 200});
  h.forward();
  expect_values(h.top(0).data, {111, 222});
  h.top_grad(0, {5, 6});
  h.backward();
  for (int i = 0; i < 3; ++i) expect_values(h.bottom(i).grad, {5, 6});
}

TEST_P(EltwiseTest, SumTakesCoefficients) {
  LayerHarness h("type: 'Eltwise' eltwise_param { operation: SUM coeff: [2, -1, 0.5] }",
                 {{1}, {1}, {1}}, {.device = GetParam()});
  h.bottom_data(0, {3});
  h.bottom_data(1, {4});
  h.bottom_data(2, {10});
  h.forward();
  expect_values(h.top(0).data, {7});
  h.top_grad(0, {8});
  h.backward();
  expect_values(h.bottom(0).grad, {16});
  expect_values(h.bottom(1).grad, {-8});
  expect_values(h.bottom(2).grad, {4});
}

TEST_P(EltwiseTest, StableProductGradientHandlesZeros) {
  LayerHarness h("type: 'Eltwise' eltwise_param { operation: PROD }", {{2}, {2}, {2}},
                 {.device = GetParam()});
  h.bottom_data(0, {2, 0});
  h.bottom_data(1, {3, 4});
  h.bottom_data(2, {5, 6});
  h.forward();
  expect_values(h.top(0).data, {30, 0});
  h.top_grad(0, {1, 10});
  h.backward();
  expect_values(h.bottom(0).grad, {15, 240});
  expect_values(h.bottom(1).grad, {10, 0});
  expect_values(h.bottom(2).grad, {6, 0});
}

TEST_P(EltwiseTest, UnstableProductGradientDividesTheTopByTheBottom) {
  LayerHarness h("type: 'Eltwise' eltwise_param { operation: PROD stable_prod_grad: false }",
                 {{2}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {2, 0});
  h.bottom_data(1, {3, 4});
  h.forward();
  h.top_grad(0, {10, 1});
  h.backward();
  expect_values(h.bottom(1).grad, {20, 0});
  EXPECT_EQ(values(h.bottom(0).grad)[0], 30);
  EXPECT_TRUE(std::isnan(values(h.bottom(0).grad)[1])) << "0 / 0, which stable_prod_grad avoids";
}

// Ties: the second of the first two wins, a later bottom must be greater.
TEST_P(EltwiseTest, MaxRoutesGradientToTheMaximum) {
  LayerHarness h("type: 'Eltwise' eltwise_param { operation: MAX }", {{5}, {5}, {5}},
                 {.device = GetParam()});
  h.bottom_data(0, {3, 1, 1, 2, 2});
  h.bottom_data(1, {1, 3, 1, 2, 1});
  h.bottom_data(2, {1, 1, 3, 2, 2});
  h.forward();
  expect_values(h.top(0).data, {3, 3, 3, 2, 2});
  h.top_grad(0, {1, 2, 3, 4, 5});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 0, 0, 0, 5});
  expect_values(h.bottom(1).grad, {0, 2, 0, 4, 0});
  expect_values(h.bottom(2).grad, {0, 0, 3, 0, 0});
}

TEST_P(EltwiseTest, LeavesUnwantedGradientsAlone) {
  LayerHarness h("type: 'Eltwise'", {{1}, {1}}, {.device = GetParam()});
  set_values(h.bottom(0).grad, {7});
  h.top_grad(0, {1});
  h.backward({false, true});
  expect_values(h.bottom(0).grad, {7});
  expect_values(h.bottom(1).grad, {1});
}

TEST(EltwiseErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Eltwise' eltwise_param { operation: PROD coeff: 1 coeff: 2 }",
                            {{1}, {1}}),
               "coeff works with operation SUM, not with PROD");
  EXPECT_ERROR(LayerHarness("type: 'Eltwise' eltwise_param { coeff: 1 }", {{1}, {1}}),
               "give one coeff per bottom or none: there are 1 for 2 bottoms");
  EXPECT_ERROR(LayerHarness("type: 'Eltwise'", {{2, 3}, {3, 2}}),
               "same shape, but bottom 0 is 2 x 3 and bottom 1 is 3 x 2");
}

}  // namespace
}  // namespace doppio
