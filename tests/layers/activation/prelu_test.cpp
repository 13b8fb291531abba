#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class PreluTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, PreluTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(PreluTest, LearnsASlopePerChannel) {
  for (const bool in_place : {false, true}) {
    LayerHarness h("type: 'PReLU'", {{2, 2, 2}}, {.in_place = in_place, .device = GetParam()});
    expect_values(h.param(0).data, {0.25f, 0.25f});
    h.param_data(0, {0.5f, -1});
    h.bottom_data(0, {1, -2, 3, -4, -5, 0, 7, -8});
    h.forward();
    expect_values(h.top(0).data, {1, -1, 3, 4, -2.5f, 0, 7, 8});
    h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
    set_values(h.param(0).grad, {1000, 1000});
    h.backward();
    expect_values(h.bottom(0).grad, {1, 1, 3, -4, 2.5f, 3, 7, -8});
    expect_values(h.param(0).grad, {1000 - 4 - 25, 1000 - 16 - 64});
  }
}

TEST_P(PreluTest, ChannelSharedLearnsOneSlope) {
  LayerHarness h("type: 'PReLU' prelu_param { channel_shared: true filler { value: 0.1 } }",
                 {{1, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.param(0).shape(), Shape{});
  h.bottom_data(0, {-10, -20});
  h.forward();
  expect_values(h.top(0).data, {-1, -2});
  h.top_grad(0, {1, 1});
  h.backward();
  expect_values(h.param(0).grad, {-30});
}

TEST(PreluErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'PReLU'", {{4}}),
               "PReLU needs a channel axis, but the bottom is 4");
  LayerHarness h("type: 'PReLU'", {{1, 2}});
  h.bottom(0).reshape({1, 3});
  EXPECT_ERROR(h.reshape(), "the bottom has 3 channels, but the slopes are for 2");
}

}  // namespace
}  // namespace doppio
