#include "core/cpu.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string layer(const std::string& param) {
  return "type: 'InnerProduct' inner_product_param { " + param + " }";
}

class InnerProductTest : public testing::TestWithParam<Device> {
 protected:
  LayerHarness make(const std::string& param, const Shape& bottom) {
    return LayerHarness(layer(param), {bottom}, {.device = GetParam()});
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, InnerProductTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(InnerProductTest, MultipliesAndAddsTheBias) {
  LayerHarness h = make("num_output: 2", {2, 3});
  EXPECT_EQ(h.param(0).shape(), (Shape{2, 3}));
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.param_data(0, {1, 0, -1, 2, 1, 0});
  h.param_data(1, {10, 20});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2}));
  expect_values(h.top(0).data, {8, 24, 8, 33});
}

TEST_P(InnerProductTest, BackwardAccumulatesParameterGradients) {
  LayerHarness h = make("num_output: 2", {2, 3});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.param_data(0, {1, 0, -1, 2, 1, 0});
  h.top_grad(0, {1, 2, 3, 4});
  h.forward();
  h.backward();
  expect_values(h.bottom(0).grad, {5, 2, -1, 11, 4, -3});
  expect_values(h.param(0).grad, {13, 17, 21, 18, 24, 30});
  expect_values(h.param(1).grad, {4, 6});
  h.backward();
  expect_values(h.bottom(0).grad, {5, 2, -1, 11, 4, -3});
  expect_values(h.param(0).grad, {26, 34, 42, 36, 48, 60});
  expect_values(h.param(1).grad, {8, 12});
}

TEST_P(InnerProductTest, RoundsFactorsToBfloat16OnRequest) {
  const bool rounds = GetParam() == Device::cuda || cpu_has_bf16();
  constexpr Index kSize = 32;
  const std::vector<float> above_one(kSize * kSize, 1 + 1 / 512.0f), ones(kSize * kSize, 1);
  LayerHarness h(layer("num_output: 32 bias_term: false") + " compute_type: BFLOAT16",
                 {{kSize, kSize}}, {.device = GetParam()});
  h.bottom_data(0, above_one);
  h.param_data(0, ones);
  h.top_grad(0, above_one);
  h.forward();
  h.backward();
  const float x = rounds ? 1 : above_one[0];
  expect_values(h.top(0).data, std::vector<float>(kSize * kSize, kSize * x));
  expect_values(h.bottom(0).grad, std::vector<float>(kSize * kSize, kSize * x));
  expect_values(h.param(0).grad, std::vector<float>(kSize * kSize, kSize * x * x));
  EXPECT_EQ(h.layer().scratch().workspace > 0, rounds && GetParam() == Device::cpu);
}

TEST_P(InnerProductTest, TransposedWeightsGiveTheSame) {
  LayerHarness h = make("num_output: 2 transpose: true bias_term: false", {2, 3});
  EXPECT_EQ(h.layer().params.size(), 1u);
  EXPECT_EQ(h.param(0).shape(), (Shape{3, 2}));
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.param_data(0, {1, 2, 0, 1, -1, 0});
  h.top_grad(0, {1, 2, 3, 4});
  h.forward();
  h.backward();
  expect_values(h.top(0).data, {-2, 4, -2, 13});
  expect_values(h.bottom(0).grad, {5, 2, -1, 11, 4, -3});
  expect_values(h.param(0).grad, {13, 18, 17, 24, 21, 30});
}

TEST_P(InnerProductTest, ComputesOnlyTheGradientsThatAreWanted) {
  LayerHarness h = make("num_output: 1", {1, 2});
  h.bottom_data(0, {1, 2});
  h.param_data(0, {3, 4});
  h.top_grad(0, {5});
  set_values(h.bottom(0).grad, {7, 7});
  h.forward();
  h.param(0).needs_grad = false;
  h.backward({false});
  expect_values(h.bottom(0).grad, {7, 7});
  expect_values(h.param(0).grad, {0, 0});
  expect_values(h.param(1).grad, {5});
  h.param(0).needs_grad = true;
  h.param(1).needs_grad = false;
  h.backward();
  expect_values(h.bottom(0).grad, {15, 20});
  expect_values(h.param(0).grad, {5, 10});
  expect_values(h.param(1).grad, {5});
}

TEST_P(InnerProductTest, FlattensFromAxisOn) {
  EXPECT_EQ(make("num_output: 5", {2, 3, 4}).top(0).shape(), (Shape{2, 5}));
  EXPECT_EQ(make("num_output: 5 axis: 2", {2, 3, 4}).top(0).shape(), (Shape{2, 3, 5}));
  EXPECT_EQ(make("num_output: 5 axis: -1", {2, 3, 4}).param(0).shape(), (Shape{5, 4}));
  LayerHarness all = make("num_output: 1 axis: 0", {2, 2});
  all.bottom_data(0, {1, 2, 3, 4});
  all.param_data(0, {1, 10, 100, 1000});
  all.forward();
  EXPECT_EQ(all.top(0).shape(), (Shape{1}));
  expect_values(all.top(0).data, {4321});
}

TEST_P(InnerProductTest, FillersSetTheFirstWeights) {
  LayerHarness h =
      make("num_output: 1 weight_filler { value: 2 } bias_filler { value: 3 }", {1, 2});
  expect_values(h.param(0).data, {2, 2});
  expect_values(h.param(1).data, {3});
}

TEST_P(InnerProductTest, KeepsItsWeightsWhenTheBatchGrows) {
  LayerHarness h = make("num_output: 1 weight_filler { value: 2 }", {1, 2});
  h.bottom(0).reshape({2, 2});
  h.reshape();
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {6, 14});
}

TEST(InnerProductErrors, NumOutputAndShapesAreChecked) {
  EXPECT_ERROR(LayerHarness(layer(""), {{2, 3}}), "num_output is missing");
  EXPECT_ERROR(LayerHarness(layer("num_output: 0"), {{2, 3}}), "num_output must be at least 1");
  EXPECT_ERROR(LayerHarness(layer("num_output: 1 axis: 2"), {{2, 3}}), "axis 2 is out of range");
}

TEST(InnerProductErrors, InputsMayNotChange) {
  LayerHarness h(layer("num_output: 1"), {{2, 3}});
  h.bottom(0).reshape({2, 4});
  EXPECT_ERROR(h.reshape(), "the bottom now has 4 inputs for each output");
}

}  // namespace
}  // namespace doppio
