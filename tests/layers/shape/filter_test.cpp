#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class FilterTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, FilterTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(FilterTest, SelectsItemsBySelector) {
  LayerHarness h("type: 'Filter'", {{3, 2}, {3}, {3, 1}}, {.tops = 2, .device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{3, 2})) << "the flags are not known yet";
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.bottom_data(1, {7, 8, 9});
  h.bottom_data(2, {1, 0, -2});
  h.reshape();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2}));
  h.forward();
  expect_values(h.top(0).data, {1, 2, 5, 6});
  expect_values(h.top(1).data, {7, 9});
  h.top_grad(0, {10, 20, 30, 40});
  h.top_grad(1, {50, 60});
  h.backward();
  expect_values(h.bottom(0).grad, {10, 20, 0, 0, 30, 40});
  expect_values(h.bottom(1).grad, {50, 0, 60});
  expect_values(h.bottom(2).grad, {0, 0, 0});
}

TEST_P(FilterTest, SelectsNoItem) {
  LayerHarness h("type: 'Filter'", {{2, 1}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.bottom_data(1, {0, 0});
  h.reshape();
  EXPECT_EQ(h.top(0).shape(), (Shape{0, 1}));
  h.forward();
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0, 0});
}

TEST(FilterErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Filter'", {{2, 3}, {2}}, {.tops = 2}),
               "a top for each bottom but the last: 1, not 2");
  EXPECT_ERROR(LayerHarness("type: 'Filter'", {{2, 3}, {3}}),
               "bottom 0 is 2 x 3, but there are 3 flags in the last bottom");
}

}  // namespace
}  // namespace doppio
