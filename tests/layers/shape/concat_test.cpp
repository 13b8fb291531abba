#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ConcatTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ConcatTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(ConcatTest, ConcatenatesChannels) {
  LayerHarness h("type: 'Concat'", {{2, 1, 2}, {2, 2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 3, 2}));
  h.bottom_data(0, {1, 2, 3, 4});
  h.bottom_data(1, {10, 20, 30, 40, 50, 60, 70, 80});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 10, 20, 30, 40, 3, 4, 50, 60, 70, 80});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 2, 7, 8});
  expect_values(h.bottom(1).grad, {3, 4, 5, 6, 9, 10, 11, 12});
}

TEST_P(ConcatTest, ConcatenatesAlongTheFirstAndTheLastAxis) {
  LayerHarness rows("type: 'Concat' concat_param { concat_dim: 0 }", {{1, 2}, {2, 2}, {1, 2}},
                    {.device = GetParam()});
  EXPECT_EQ(rows.top(0).shape(), (Shape{4, 2}));
  rows.bottom_data(0, {1, 2});
  rows.bottom_data(1, {3, 4, 5, 6});
  rows.bottom_data(2, {7, 8});
  rows.forward();
  expect_values(rows.top(0).data, {1, 2, 3, 4, 5, 6, 7, 8});

  LayerHarness cols("type: 'Concat' concat_param { axis: -1 }", {{2, 1}, {2, 1}},
                    {.device = GetParam()});
  cols.bottom_data(0, {1, 2});
  cols.bottom_data(1, {3, 4});
  cols.forward();
  expect_values(cols.top(0).data, {1, 3, 2, 4});
}

TEST_P(ConcatTest, LeavesUnwantedGradientsAlone) {
  LayerHarness h("type: 'Concat'", {{1, 1}, {1, 1}}, {.device = GetParam()});
  set_values(h.bottom(0).grad, {5});
  h.top_grad(0, {1, 2});
  h.backward({false, true});
  expect_values(h.bottom(0).grad, {5});
  expect_values(h.bottom(1).grad, {2});
}

TEST(ConcatErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Concat' concat_param { axis: 1 concat_dim: 1 }", {{1, 1}}),
               "axis and concat_dim mean the same");
  EXPECT_ERROR(LayerHarness("type: 'Concat'", {{2, 3, 4}, {2, 5, 6}}),
               "differ along axis 1 only, but bottom 0 is 2 x 3 x 4 and bottom 1 is 2 x 5 x 6");
  EXPECT_ERROR(LayerHarness("type: 'Concat'", {{2, 3}, {2, 3, 1}}), "bottom 1 is 2 x 3 x 1");
  EXPECT_ERROR(LayerHarness("type: 'Concat' concat_param { axis: 2 }", {{2, 3}}),
               "axis 2 is out of range for shape 2 x 3");
}

}  // namespace
}  // namespace doppio
