#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SppTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SppTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SppTest, ConcatenatesThePyramidLevels) {
  LayerHarness h("type: 'SPP' spp_param { pyramid_height: 2 }", {{1, 1, 2, 4}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 5}));
  expect_values(h.top(0).data, {8, 2, 4, 6, 8});
  h.top_grad(0, {1, 10, 100, 1000, 10000});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 10, 0, 100, 0, 1000, 0, 10001});
}

TEST_P(SppTest, KeepsImagesOfABatchApart) {
  LayerHarness h("type: 'SPP' spp_param { pyramid_height: 2 pool: AVE }", {{2, 1, 2, 2}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 6, 10, 20, 30, 60});
  h.forward();
  expect_values(h.top(0).data, {3, 1, 2, 3, 6, 30, 10, 20, 30, 60});
}

TEST_P(SppTest, OneLevelStaysABlobOfFourAxes) {
  LayerHarness h("type: 'SPP' spp_param { pyramid_height: 1 }", {{2, 3, 5, 4}},
                 {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), Shape({2, 3, 1, 1}));
}

TEST(SppErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'SPP'", {{1, 1, 2, 2}}), "pyramid_height is missing");
  EXPECT_ERROR(LayerHarness("type: 'SPP' spp_param { pyramid_height: 3 }", {{1, 1, 5, 5}}),
               "level 2 has 4 x 4 windows, too many for a map of 5 x 5");
  EXPECT_ERROR(LayerHarness("type: 'SPP' spp_param { pyramid_height: 2 }", {{4, 4}}),
               "SPP needs N x C x H x W");
}

}  // namespace
}  // namespace doppio
