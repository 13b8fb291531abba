#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SplitTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SplitTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SplitTest, TopsViewTheBottomAndGradientsAddUp) {
  LayerHarness h("type: 'Split'", {{2, 2}}, {.tops = 3, .device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(h.top(i).data.shares_memory_with(h.bottom(0).data));
    EXPECT_EQ(h.top(i).shape(), (Shape{2, 2}));
    expect_values(h.top(i).data, {1, 2, 3, 4});
  }
  h.top_grad(0, {1, 1, 1, 1});
  h.top_grad(1, {10, 20, 30, 40});
  h.top_grad(2, {500, 500, 500, 500});
  h.backward();
  expect_values(h.bottom(0).grad, {511, 521, 531, 541});
}

TEST_P(SplitTest, OneTopPassesTheGradientOn) {
  LayerHarness h("type: 'Split'", {{2}}, {.device = GetParam()});
  h.top_grad(0, {5, 6});
  h.backward();
  expect_values(h.bottom(0).grad, {5, 6});
}

TEST_P(SplitTest, FollowsAGrowingBottom) {
  LayerHarness h("type: 'Split'", {{1}}, {.tops = 2, .device = GetParam()});
  h.bottom(0).reshape({3});
  h.reshape();
  h.bottom_data(0, {7, 8, 9});
  h.forward();
  expect_values(h.top(1).data, {7, 8, 9});
}

}  // namespace
}  // namespace doppio
