#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ScaleTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ScaleTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) { return "type: 'Scale' scale_param { " + param + " }"; }

TEST_P(ScaleTest, StartsAsTheIdentity) {
  LayerHarness h(with("bias_term: true"), {{1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {3, 4});
  h.forward();
  expect_values(h.top(0).data, {3, 4});
  expect_values(h.param(0).data, {1, 1});
  expect_values(h.param(1).data, {0, 0});
}

TEST_P(ScaleTest, MultipliesAndAddsPerChannel) {
  for (const bool in_place : {false, true}) {
    LayerHarness h(with("bias_term: true"), {{2, 2, 2}},
                   {.in_place = in_place, .device = GetParam()});
    h.param_data(0, {2, 3});
    h.param_data(1, {100, 200});
    h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
    h.forward();
    expect_values(h.top(0).data, {102, 104, 209, 212, 110, 112, 221, 224});
    h.top_grad(0, {1, 0, 0, 1, 1, 1, 1, 1});
    set_values(h.param(0).grad, {1000, 1000});
    h.backward();
    expect_values(h.bottom(0).grad, {2, 0, 0, 3, 2, 2, 3, 3});
    expect_values(h.param(0).grad, {1012, 1019});
    expect_values(h.param(1).grad, {3, 3});
  }
}

TEST_P(ScaleTest, MultipliesByASecondBottom) {
  for (const bool in_place : {false, true}) {
    LayerHarness h(with("axis: 0 bias_term: true"), {{2, 1, 2}, {2, 1}},
                   {.in_place = in_place, .device = GetParam()});
    h.bottom_data(0, {1, 2, 3, 4});
    h.bottom_data(1, {10, 100});
    EXPECT_EQ(h.param(0).shape(), (Shape{2, 1}));
    h.param_data(0, {1, 2});
    h.forward();
    expect_values(h.top(0).data, {11, 21, 302, 402});
    h.top_grad(0, {1, 1, 1, 1});
    h.backward();
    expect_values(h.bottom(0).grad, {10, 10, 100, 100});
    expect_values(h.bottom(1).grad, {3, 7});
    expect_values(h.param(0).grad, {2, 2});
  }
}

TEST_P(ScaleTest, TwoBottomsWithoutBiasHaveNoParameters) {
  LayerHarness h("type: 'Scale'", {{1, 2}, {2}}, {.device = GetParam()});
  EXPECT_TRUE(h.layer().params.empty());
  h.bottom_data(0, {3, 4});
  h.bottom_data(1, {10, 100});
  h.forward();
  expect_values(h.top(0).data, {30, 400});
  h.top_grad(0, {1, 1});
  set_values(h.bottom(1).grad, {7, 7});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {10, 100});
  expect_values(h.bottom(1).grad, {7, 7});
}

TEST_P(ScaleTest, ScalarOrAllAxes) {
  LayerHarness scalar(with("num_axes: 0 filler { value: 5 }"), {{2, 2}}, {.device = GetParam()});
  EXPECT_EQ(scalar.param(0).shape(), Shape{});
  scalar.bottom_data(0, {1, 2, 3, 4});
  scalar.forward();
  expect_values(scalar.top(0).data, {5, 10, 15, 20});
  scalar.top_grad(0, {1, 1, 1, 1});
  scalar.backward();
  expect_values(scalar.param(0).grad, {10});

  LayerHarness all(with("axis: -2 num_axes: -1"), {{2, 2}}, {.device = GetParam()});
  EXPECT_EQ(all.param(0).shape(), (Shape{2, 2}));
  all.param_data(0, {1, 10, 100, 1000});
  all.bottom_data(0, {1, 2, 3, 4});
  all.forward();
  expect_values(all.top(0).data, {1, 20, 300, 4000});
}

TEST_P(ScaleTest, FollowsAGrowingBatch) {
  LayerHarness h("type: 'Scale'", {{1, 1}}, {.in_place = true, .device = GetParam()});
  h.param_data(0, {2});
  h.bottom(0).reshape({3, 1});
  h.reshape();
  h.bottom_data(0, {1, 2, 3});
  h.forward();
  expect_values(h.top(0).data, {2, 4, 6});
  h.top_grad(0, {1, 1, 1});
  h.backward();
  expect_values(h.param(0).grad, {6});
}

TEST(ScaleErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("num_axes: -2"), {{2, 3}}), "num_axes is -2");
  EXPECT_ERROR(LayerHarness(with("num_axes: 2"), {{2, 3}}), "reaches beyond the bottom 2 x 3");
  EXPECT_ERROR(LayerHarness("type: 'Scale'", {{2, 3}, {2, 3}}),
               "shape 2 x 3 does not fit the bottom 2 x 3 from axis 1 on");
  LayerHarness h(with("bias_term: true"), {{2, 3}, {3}});
  h.bottom(0).reshape({2, 4});
  h.bottom(1).reshape({4});
  EXPECT_ERROR(h.reshape(), "bottom 1 changed its shape to 4, but the bias keeps 3");
}

}  // namespace
}  // namespace doppio
