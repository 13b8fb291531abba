#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SoftmaxTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SoftmaxTest, testing::ValuesIn(test_devices()), device_test_name);

const float kLog2 = std::log(2.0f), kLog3 = std::log(3.0f), kLog5 = std::log(5.0f);

TEST_P(SoftmaxTest, NormalizesOverAxisOneByDefault) {
  for (const bool in_place : {false, true}) {
    LayerHarness h("type: 'Softmax'", {{2, 3}}, {.in_place = in_place, .device = GetParam()});
    h.bottom_data(0, {0, kLog2, kLog5, 1000, 1000, 0});
    h.forward();
    expect_values(h.top(0).data, {0.125f, 0.25f, 0.625f, 0.5f, 0.5f, 0});
    h.top_grad(0, {8, 0, 0, 0, 2, 6});
    h.backward();
    expect_values(h.bottom(0).grad, {0.875f, -0.25f, -0.625f, -0.5f, 0.5f, 0});
  }
}

TEST_P(SoftmaxTest, NormalizesOverAnyAxis) {
  for (const char* axis : {"0", "-2"}) {
    LayerHarness h(str("type: 'Softmax' softmax_param { axis: ", axis, " }"), {{2, 2}},
                   {.device = GetParam()});
    h.bottom_data(0, {0, kLog3, 0, 0});
    h.forward();
    expect_values(h.top(0).data, {0.5f, 0.75f, 0.5f, 0.25f});
    h.top_grad(0, {0, 4, 2, 0});
    h.backward();
    expect_values(h.bottom(0).grad, {-0.5f, 0.75f, 0.5f, -0.75f});
  }
}

TEST(SoftmaxErrors, NoSuchAxis) {
  EXPECT_ERROR(LayerHarness("type: 'Softmax' softmax_param { axis: 2 }", {{2, 3}}),
               "axis 2 is out of range for shape 2 x 3");
}

}  // namespace
}  // namespace doppio
