#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class EuclideanLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, EuclideanLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(EuclideanLossTest, ComputesHalfTheSquaredErrorPerItem) {
  LayerHarness h("type: 'EuclideanLoss'", {{2, 3}, {2, 3}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), Shape{});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.bottom_data(1, {1, 0, 3, 4, 5, 2});
  h.forward();
  expect_values(h.top(0).data, {(4 + 16) / 4.0f});
  h.top_grad(0, {3});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 3, 0, 0, 0, 6});
  expect_values(h.bottom(1).grad, {0, -3, 0, 0, 0, -6});
}

TEST_P(EuclideanLossTest, ComparesBottomsOfDifferentShapeButEqualCount) {
  LayerHarness h("type: 'EuclideanLoss'", {{1, 4}, {1, 2, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 1, 1, 1});
  h.bottom_data(1, {0, 0, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {2});
  set_values(h.bottom(0).grad, {9, 9, 9, 9});
  h.top_grad(0, {1});
  h.backward({false, true});
  expect_values(h.bottom(0).grad, {9, 9, 9, 9});
  expect_values(h.bottom(1).grad, {-1, -1, -1, -1});
}

TEST(EuclideanLossErrors, NameBothShapes) {
  const char* text = "type: 'EuclideanLoss'";
  EXPECT_ERROR(LayerHarness(text, {{2, 3}, {3, 2}}),
               "the same number of elements, but they are 2 x 3 and 3 x 2");
  EXPECT_ERROR(LayerHarness(text, {{2, 3}, {2, 4}}), "they are 2 x 3 and 2 x 4");
  EXPECT_ERROR(LayerHarness(text, {{}, {}}), "they are scalar and scalar");
}

}  // namespace
}  // namespace doppio
