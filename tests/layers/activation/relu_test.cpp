#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ReluTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ReluTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(ReluTest, ClampsNegativeValuesToZero) {
  LayerHarness h("type: 'ReLU'", {{4}}, {.device = GetParam()});
  h.bottom_data(0, {-2, 0, 1, 3});
  h.forward();
  expect_values(h.top(0).data, {0, 0, 1, 3});
  h.top_grad(0, {10, 20, 30, 40});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 0, 30, 40});
}

TEST_P(ReluTest, AppliesNegativeSlopeInPlace) {
  LayerHarness h("type: 'ReLU' relu_param { negative_slope: 0.5 }", {{3}},
                 {.in_place = true, .device = GetParam()});
  h.bottom_data(0, {-2, 0, 3});
  h.forward();
  expect_values(h.top(0).data, {-1, 0, 3});
  h.top_grad(0, {1, 1, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {0.5f, 0.5f, 1});
}

// The sign of y does not tell that of x.
TEST_P(ReluTest, NegativeSlopeOfMinusOneIsTheAbsoluteValue) {
  LayerHarness h("type: 'ReLU' relu_param { negative_slope: -1 }", {{3}},
                 {.in_place = true, .device = GetParam()});
  h.bottom_data(0, {-2, 0, 3});
  h.forward();
  expect_values(h.top(0).data, {2, 0, 3});
  h.top_grad(0, {1, 1, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {-1, -1, 1});
}

}  // namespace
}  // namespace doppio
