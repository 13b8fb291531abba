#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class Im2colLayerTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, Im2colLayerTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(Im2colLayerTest, CopiesWindowsIntoColumns) {
  LayerHarness h("type: 'Im2col' convolution_param { kernel_size: 2 }", {{2, 1, 2, 3}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({2, 4, 1, 2}));
  expect_values(h.top(0).data, {1, 2, 2, 3, 4, 5, 5, 6, 10, 20, 20, 30, 40, 50, 50, 60});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 5, 4, 5, 13, 8, 0, 0, 0, 0, 0, 1});
}

TEST(Im2colLayerErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Im2col' convolution_param { kernel_size: 4 }", {{1, 1, 3, 3}}),
               "kernel 4 x 4 exceeds the padded input 3 x 3");
}

}  // namespace
}  // namespace doppio
