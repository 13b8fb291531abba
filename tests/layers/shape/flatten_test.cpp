#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class FlattenTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, FlattenTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(FlattenTest, IsAViewOfDataAndGradient) {
  LayerHarness h("type: 'Flatten'", {{2, 1, 3}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 3}));
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 3, 4, 5, 6});
  h.top_grad(0, {6, 5, 4, 3, 2, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {6, 5, 4, 3, 2, 1});
  EXPECT_TRUE(h.top(0).data.shares_memory_with(h.bottom(0).data));
}

TEST(Flatten, MergesTheAxesAskedFor) {
  const struct {
    const char* param;
    Shape shape;
  } cases[] = {{"", {2, 60}},
               {"axis: 0", {120}},
               {"axis: 2", {2, 3, 20}},
               {"axis: -1", {2, 3, 4, 5}},
               {"axis: 1 end_axis: 2", {2, 12, 5}},
               {"axis: 0 end_axis: -2", {24, 5}},
               {"axis: 2 end_axis: 1", {2, 3, 1, 4, 5}}};
  for (const auto& c : cases)
    EXPECT_EQ(LayerHarness(str("type: 'Flatten' flatten_param { ", c.param, " }"), {{2, 3, 4, 5}})
                  .top(0)
                  .shape(),
              c.shape)
        << c.param;
}

TEST(FlattenErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Flatten' flatten_param { axis: 2 end_axis: 0 }", {{2, 3, 4}}),
               "end_axis 0 lies before axis 2 of shape 2 x 3 x 4");
  EXPECT_ERROR(LayerHarness("type: 'Flatten' flatten_param { axis: 3 }", {{2, 3, 4}}),
               "axis 3 is out of range for shape 2 x 3 x 4");
}

}  // namespace
}  // namespace doppio
