#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ArgMaxTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ArgMaxTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) {
  return "type: 'ArgMax' argmax_param { " + param + " }";
}

TEST_P(ArgMaxTest, FindsTheIndexOfTheMaximumAndPrefersTheLastOfTies) {
  LayerHarness h("type: 'ArgMax'", {{2, 2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 1, 1}));
  h.bottom_data(0, {1, 5, 5, 2, -1, -2, -3, -4});
  h.forward();
  expect_values(h.top(0).data, {2, 0});
}

TEST_P(ArgMaxTest, OutMaxValAddsTheValues) {
  LayerHarness h(with("top_k: 2 out_max_val: true"), {{2, 3}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2, 2}));
  h.bottom_data(0, {7, 9, 8, 4, 4, 4});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 9, 8, 2, 1, 4, 4});
}

TEST_P(ArgMaxTest, WorksAlongAnAxis) {
  const std::vector<float> x{1, 2, 9, 8, 5, 6};  // 1 x 3 x 2
  LayerHarness indices(with("axis: 1 top_k: 2"), {{1, 3, 2}}, {.device = GetParam()});
  EXPECT_EQ(indices.top(0).shape(), (Shape{1, 2, 2}));
  indices.bottom_data(0, x);
  indices.forward();
  expect_values(indices.top(0).data, {1, 1, 2, 2});
  LayerHarness maxima(with("axis: 1 top_k: 2 out_max_val: true"), {{1, 3, 2}},
                      {.device = GetParam()});
  maxima.bottom_data(0, x);
  maxima.forward();
  expect_values(maxima.top(0).data, {9, 8, 5, 6});
}

TEST_P(ArgMaxTest, SortsNanLast) {
  LayerHarness h(with("top_k: 3"), {{1, 3}}, {.device = GetParam()});
  h.bottom_data(0, {NAN, INFINITY, -5});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 0});
}

TEST(ArgMax, AFourAxisBottomKeepsFourAxes) {
  EXPECT_EQ(LayerHarness(with("top_k: 5"), {{2, 3, 4, 5}}).top(0).shape(), (Shape{2, 1, 5, 1}));
}

TEST(ArgMaxErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("top_k: 0"), {{2, 3}}), "top_k must be at least 1");
  EXPECT_ERROR(LayerHarness(with("top_k: 4"), {{2, 3}}),
               "top_k 4 exceeds the 3 values to choose from");
  EXPECT_ERROR(LayerHarness(with("axis: 0 top_k: 3"), {{2, 3}}), "top_k 3 exceeds the 2 values");
  EXPECT_ERROR(LayerHarness("type: 'ArgMax'", {{}}), "the bottom is a scalar");
}

}  // namespace
}  // namespace doppio
