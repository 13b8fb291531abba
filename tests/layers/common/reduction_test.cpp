#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ReductionTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ReductionTest, testing::ValuesIn(test_devices()),
                         device_test_name);

// Rows 1 -2 5 and -4 -3 2, with top gradients 1 and 10.
TEST_P(ReductionTest, ReducesTheTrailingAxes) {
  const struct {
    const char* param;
    std::vector<float> y, dx;
  } cases[] = {
      {"axis: 1", {4, -5}, {1, 1, 1, 10, 10, 10}},
      {"axis: 1 operation: ASUM", {8, 9}, {1, -1, 1, -10, -10, 10}},
      {"axis: 1 operation: SUMSQ coeff: 0.5", {15, 14.5f}, {1, -2, 5, -40, -30, 20}},
      {"axis: -1 operation: MEAN coeff: 6", {8, -10}, {2, 2, 2, 20, 20, 20}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.param);
    LayerHarness h(str("type: 'Reduction' reduction_param { ", c.param, " }"), {{2, 3}},
                   {.device = GetParam()});
    EXPECT_EQ(h.top(0).shape(), Shape{2});
    h.bottom_data(0, {1, -2, 5, -4, -3, 2});
    h.forward();
    expect_values(h.top(0).data, c.y);
    h.top_grad(0, {1, 10});
    h.backward();
    expect_values(h.bottom(0).grad, c.dx);
  }
}

TEST_P(ReductionTest, MakesAScalarByDefault) {
  LayerHarness h("type: 'Reduction'", {{2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), Shape{});
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {10});
}

TEST(ReductionErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Reduction' reduction_param { axis: 2 }", {{2, 2}}),
               "axis 2 is out of range for shape 2 x 2");
}

}  // namespace
}  // namespace doppio
