#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class BatchReindexTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, BatchReindexTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(BatchReindexTest, SelectsItemsAndSumsTheirGradients) {
  LayerHarness h("type: 'BatchReindex'", {{3, 2}, {4}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{4, 2}));
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.bottom_data(1, {2, 0, 2, 2});
  h.forward();
  expect_values(h.top(0).data, {5, 6, 1, 2, 5, 6, 5, 6});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {3, 4, 0, 0, 13, 16});
}

TEST(BatchReindexErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'BatchReindex'", {{3, 2}, {4, 1}}),
               "bottom 1 exactly one, but they are 3 x 2 and 4 x 1");
  LayerHarness h("type: 'BatchReindex'", {{3, 2}, {2}});
  h.bottom_data(1, {0, 3});
  EXPECT_ERROR(h.forward(), "index 3 in place 1 is out of range; it must be from 0 to 2");
}

}  // namespace
}  // namespace doppio
