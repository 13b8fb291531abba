#include <cfloat>
#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class AverageViewsTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, AverageViewsTest, testing::ValuesIn(test_devices()),
                         device_test_name);

const float kLog3 = std::log(3.0f);

TEST_P(AverageViewsTest, ComputesLogOfMeanProbability) {
  LayerHarness h("type: 'AverageViews' transform_param { views: 2 }", {{4, 2}},
                 {.device = GetParam()});
  // Probabilities 1/2 and 1/4, then 1 and 1, of class 0.
  h.bottom_data(0, {5, 5, 0, kLog3, 500, 0, 600, 0});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({2, 2}));
  expect_values(h.top(0).data, {std::log(0.375f), std::log(0.625f), 0, std::log(FLT_MIN)});
}

TEST_P(AverageViewsTest, KeepsFurtherAxesApart) {
  LayerHarness h("type: 'AverageViews' transform_param { views: 2 }", {{2, 2, 2}},
                 {.device = GetParam()});
  h.bottom_data(0, {0, 0, 0, kLog3, 0, kLog3, 0, 0});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 2, 2}));
  // Position 0: 1/2 and 1/2; position 1: 1/4 and 3/4.
  const float half = std::log(0.5f);
  expect_values(h.top(0).data, {half, half, half, half});
}

TEST(AverageViewsErrors, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of([] {
              LayerHarness("type: 'AverageViews' transform_param { views: 3 }", {{4, 2}});
            }),
            "a batch of 4 is not a multiple of 3 views");
  EXPECT_EQ(error_of([] {
              LayerHarness("type: 'AverageViews' transform_param { views: 0 }", {{4, 2}});
            }),
            "views must be at least 1");
}

}  // namespace
}  // namespace doppio
