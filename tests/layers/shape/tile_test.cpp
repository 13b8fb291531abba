#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class TileTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, TileTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(TileTest, RepeatsAlongAnAxis) {
  LayerHarness h("type: 'Tile' tile_param { tiles: 2 }", {{2, 1, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2, 2}));
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 1, 2, 3, 4, 3, 4});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.backward();
  expect_values(h.bottom(0).grad, {4, 6, 12, 14});
}

TEST_P(TileTest, RepeatsTheLastAxis) {
  LayerHarness h("type: 'Tile' tile_param { axis: -1 tiles: 3 }", {{2, 1}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.forward();
  expect_values(h.top(0).data, {1, 1, 1, 2, 2, 2});
}

TEST(TileErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Tile'", {{2, 2}}), "tiles is 0; give the number of copies");
  EXPECT_ERROR(LayerHarness("type: 'Tile' tile_param { tiles: 2147483647 }", {{1, 1 << 30}}),
               "has more than 2^36 elements");
  EXPECT_ERROR(LayerHarness("type: 'Tile' tile_param { tiles: 2 axis: 4 }", {{2, 2}}),
               "axis 4 is out of range");
}

}  // namespace
}  // namespace doppio
