#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SliceTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SliceTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SliceTest, CutsIntoEqualParts) {
  LayerHarness h("type: 'Slice'", {{2, 4}}, {.tops = 2, .device = GetParam()});
  EXPECT_EQ(h.top(1).shape(), (Shape{2, 2}));
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 5, 6});
  expect_values(h.top(1).data, {3, 4, 7, 8});
  h.top_grad(0, {10, 20, 30, 40});
  h.top_grad(1, {50, 60, 70, 80});
  h.backward();
  expect_values(h.bottom(0).grad, {10, 20, 50, 60, 30, 40, 70, 80});
}

TEST_P(SliceTest, CutsAtSlicePoints) {
  LayerHarness h("type: 'Slice' slice_param { axis: 0 slice_point: 1 slice_point: 3 }", {{4, 2}},
                 {.tops = 3, .device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.forward();
  expect_values(h.top(0).data, {1, 2});
  expect_values(h.top(1).data, {3, 4, 5, 6});
  expect_values(h.top(2).data, {7, 8});
}

TEST_P(SliceTest, AcceptsSliceDim) {
  LayerHarness h("type: 'Slice' slice_param { slice_dim: 2 slice_point: 1 }", {{1, 2, 3}},
                 {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.forward();
  expect_values(h.top(0).data, {1, 4});
  expect_values(h.top(1).data, {2, 3, 5, 6});
}

TEST_P(SliceTest, OneTopTakesAll) {
  LayerHarness h("type: 'Slice' slice_param { axis: -1 }", {{2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.forward();
  expect_values(h.top(0).data, {1, 2});
}

TEST(SliceErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { axis: 1 slice_dim: 1 }", {{1, 2}}),
               "axis and slice_dim mean the same");
  EXPECT_ERROR(LayerHarness("type: 'Slice'", {{1, 5}}, {.tops = 2}),
               "size 5 cannot be cut into 2 equal parts");
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { slice_point: 1 }", {{1, 5}}, {.tops = 3}),
               "1 slice points make 2 parts, but there are 3 tops");
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { slice_point: 2 slice_point: 2 }", {{1, 5}},
                            {.tops = 3}),
               "slice_point 2 must be above 2");
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { slice_point: 0 }", {{1, 5}}, {.tops = 2}),
               "slice_point 0 must be above 0");
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { slice_point: 5 }", {{1, 5}}, {.tops = 2}),
               "slice_point 5 is not inside an axis of size 5");
  EXPECT_ERROR(LayerHarness("type: 'Slice' slice_param { axis: -3 }", {{1, 5}}),
               "axis -3 is out of range");
}

}  // namespace
}  // namespace doppio
