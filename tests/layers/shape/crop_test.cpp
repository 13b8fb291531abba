#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class CropTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, CropTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) { return "type: 'Crop' crop_param { " + param + " }"; }

std::vector<float> count_up(int n) {
  std::vector<float> v;
  for (int i = 0; i < n; ++i) v.push_back(static_cast<float>(i));
  return v;
}

TEST_P(CropTest, CropsHeightAndWidth) {
  LayerHarness h(with("offset: 1 offset: 0"), {{1, 2, 3, 3}, {5, 5, 2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 2, 2, 2}));
  h.bottom_data(0, count_up(18));
  h.forward();
  expect_values(h.top(0).data, {3, 4, 6, 7, 12, 13, 15, 16});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
  set_values(h.bottom(0).grad, std::vector<float>(18, 99));
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0, 0, 0, 1, 2, 0, 3, 4, 0, 0, 0, 0, 5, 6, 0, 7, 8, 0});
}

TEST_P(CropTest, OneOffsetServesAllAxesFromAxisOn) {
  LayerHarness h(with("axis: 0 offset: 1"), {{2, 2, 2, 3}, {1, 1, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, count_up(24));
  h.forward();
  expect_values(h.top(0).data, {22, 23});
  h.top_grad(0, {5, 6});
  h.backward({true, false});
  std::vector<float> dx(24);
  dx[22] = 5, dx[23] = 6;
  expect_values(h.bottom(0).grad, dx);
}

// More axes than one kernel copies, several windows in the outer ones.
TEST_P(CropTest, CropsBottomsOfFiveAxes) {
  LayerHarness h(with("axis: 0 offset: [0, 1, 0, 1, 0]"), {{2, 3, 1, 2, 2}, {2, 2, 1, 1, 1}},
                 {.device = GetParam()});
  h.bottom_data(0, count_up(24));
  h.forward();
  expect_values(h.top(0).data, {6, 10, 18, 22});
}

TEST_P(CropTest, CropsTheLastAxis) {
  LayerHarness h(with("axis: -1"), {{2, 3}, {2, 1}}, {.device = GetParam()});
  h.bottom_data(0, count_up(6));
  h.forward();
  expect_values(h.top(0).data, {0, 3});
}

TEST(CropErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Crop'", {{1, 2, 3, 3}, {2, 3}}),
               "the same number of axes, but they are 1 x 2 x 3 x 3 and 2 x 3");
  EXPECT_ERROR(LayerHarness(with("axis: 1 offset: 0 offset: 1"), {{1, 2, 3, 3}, {1, 1, 1, 1}}),
               "one for each of the 3 axes from axis 1 on, not 2");
  EXPECT_ERROR(LayerHarness(with("offset: 2"), {{1, 1, 3, 3}, {1, 1, 2, 1}}),
               "offset 2 and size 2 exceed axis 2 of bottom 0, which is 1 x 1 x 3 x 3");
  EXPECT_ERROR(LayerHarness("type: 'Crop'", {{3, 3}, {2, 2}}),
               "axis 2 is out of range for shape 3 x 3");
}

}  // namespace
}  // namespace doppio
