#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ReshapeTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ReshapeTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) {
  return "type: 'Reshape' reshape_param { " + param + " }";
}

TEST_P(ReshapeTest, IsAViewOfDataAndGradient) {
  LayerHarness h(with("shape { dim: 3 dim: 2 }"), {{2, 3}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 3, 4, 5, 6});
  h.top_grad(0, {6, 5, 4, 3, 2, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {6, 5, 4, 3, 2, 1});
  EXPECT_TRUE(h.top(0).data.shares_memory_with(h.bottom(0).data));
}

TEST(Reshape, CopiesInfersAndInserts) {
  const struct {
    const char* param;
    Shape shape;
  } cases[] = {
      {"shape { dim: 0 dim: -1 }", {2, 12}},
      {"shape { dim: 0 dim: 0 dim: 2 dim: -1 }", {2, 3, 2, 2}},
      {"shape { dim: -1 }", {24}},
      {"shape { dim: 1 dim: 24 }", {1, 24}},
      {"shape { dim: -1 } axis: 1", {2, 12}},
      {"shape { dim: 6 } axis: 0 num_axes: 2", {6, 4}},
      {"shape { dim: 3 dim: 1 } axis: 1 num_axes: 1", {2, 3, 1, 4}},
      {"shape { dim: 1 } axis: -1 num_axes: 0", {2, 3, 4, 1}},
      {"shape { dim: 1 dim: 1 } axis: 0 num_axes: 0", {1, 1, 2, 3, 4}},
      {"shape { dim: 2 dim: -1 } axis: -2", {2, 3, 2, 2}},
      {"axis: 1 num_axes: 0", {2, 3, 4}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(LayerHarness(with(c.param), {{2, 3, 4}}).top(0).shape(), c.shape) << c.param;
  EXPECT_EQ(LayerHarness(with(""), {{1, 1}}).top(0).shape(), Shape{}) << "all axes go: a scalar";
}

TEST(ReshapeErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("shape { dim: -2 }"), {{4}}), "size -2 in shape");
  EXPECT_ERROR(LayerHarness(with("shape { dim: -1 dim: -1 }"), {{4}}),
               "only one size in shape can be -1");
  EXPECT_ERROR(LayerHarness(with("num_axes: -2"), {{4}}), "num_axes is -2");
  EXPECT_ERROR(LayerHarness(with("axis: 3"), {{4, 4}}), "axis 3 is out of range for shape 4 x 4");
  EXPECT_ERROR(LayerHarness(with("axis: -4"), {{4, 4}}), "axis -4 is out of range for shape 4 x 4");
  EXPECT_ERROR(LayerHarness(with("axis: 1 num_axes: 2"), {{4, 4}}),
               "num_axes 2 from axis 1 on reaches beyond shape 4 x 4");
  EXPECT_ERROR(LayerHarness(with("shape { dim: 2 dim: 2 dim: 0 }"), {{4, 1}}),
               "the 0 in place 2 of shape copies axis 2, which the bottom 4 x 1 does not have");
  EXPECT_ERROR(LayerHarness(with("shape { dim: 3 dim: -1 }"), {{4, 4}}),
               "the -1 in shape cannot be inferred: 16 elements are not a multiple of 3");
  EXPECT_ERROR(LayerHarness(with("shape { dim: 3 dim: 5 }"), {{4, 4}}),
               "shape 3 x 5 has 15 elements, but the bottom 4 x 4 has 16");
}

}  // namespace
}  // namespace doppio
