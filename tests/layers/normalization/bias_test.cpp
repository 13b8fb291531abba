#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class BiasTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, BiasTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) { return "type: 'Bias' bias_param { " + param + " }"; }

TEST_P(BiasTest, AddsABiasPerChannel) {
  for (const bool in_place : {false, true}) {
    LayerHarness h("type: 'Bias'", {{2, 2, 2}}, {.in_place = in_place, .device = GetParam()});
    expect_values(h.param(0).data, {0, 0});
    h.param_data(0, {10, 20});
    h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
    h.forward();
    expect_values(h.top(0).data, {11, 12, 23, 24, 15, 16, 27, 28});
    h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
    set_values(h.param(0).grad, {100, 200});
    h.backward();
    expect_values(h.bottom(0).grad, {1, 2, 3, 4, 5, 6, 7, 8});
    expect_values(h.param(0).grad, {114, 222});
  }
}

TEST_P(BiasTest, AddsASecondBottom) {
  LayerHarness h(with("axis: 0"), {{2, 3}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.bottom_data(1, {10, 20});
  h.forward();
  expect_values(h.top(0).data, {11, 12, 13, 24, 25, 26});
  h.top_grad(0, {1, 2, 3, 4, 5, 6});
  set_values(h.bottom(1).grad, {100, 100});
  h.backward();
  expect_values(h.bottom(1).grad, {6, 15});
}

TEST_P(BiasTest, ScalarAndFiller) {
  LayerHarness h(with("num_axes: 0 filler { value: 3 }"), {{2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.param(0).shape(), Shape{});
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {4, 5, 6, 7});
  h.top_grad(0, {1, 2, 3, 4});
  h.backward();
  expect_values(h.param(0).grad, {10});
}

TEST_P(BiasTest, AFrozenParameterGetsNoGradient) {
  LayerHarness h("type: 'Bias'", {{1, 1}}, {.device = GetParam()});
  h.param(0).needs_grad = false;
  h.top_grad(0, {1});
  h.backward();
  expect_values(h.param(0).grad, {0});
}

TEST(BiasErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("num_axes: -2"), {{2, 3}}), "num_axes is -2");
  EXPECT_ERROR(LayerHarness(with("axis: 1 num_axes: 2"), {{2, 3}}),
               "num_axes 2 from axis 1 on reaches beyond the bottom 2 x 3");
  EXPECT_ERROR(LayerHarness(with("axis: 2"), {{2, 3}}), "axis 2 is out of range for shape 2 x 3");
  EXPECT_ERROR(LayerHarness("type: 'Bias'", {{2, 3}, {2}}),
               "shape 2 does not fit the bottom 2 x 3 from axis 1 on");
  EXPECT_ERROR(LayerHarness("type: 'Bias'", {{2, 3}, {3, 1}}),
               "shape 3 x 1 does not fit the bottom 2 x 3 from axis 1 on");
}

}  // namespace
}  // namespace doppio
