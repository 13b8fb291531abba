#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(SmoothL1Loss, IsQuadraticNearZeroAndLinearBeyond) {
  LayerHarness h("type: 'SmoothL1Loss'", {{2, 2}, {2, 2}});
  h.bottom_data(0, {0.5f, 3, 0, -2});
  h.bottom_data(1, {0, 0, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {(0.125f + 2.5f + 0 + 1.5f) / 2});
  h.top_grad(0, {4});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 2, 0, -2});
  expect_values(h.bottom(1).grad, {-1, -2, 0, 2});
}

TEST(SmoothL1Loss, AppliesInsideAndOutsideWeights) {
  LayerHarness h("type: 'SmoothL1Loss' smooth_l1_loss_param { sigma: 2 }",
                 {{1, 3}, {1, 3}, {1, 3}, {1, 3}});
  h.bottom_data(0, {0.1f, 1, 7});
  h.bottom_data(1, {0, 0, 0});
  h.bottom_data(2, {2, 1, 0});
  h.bottom_data(3, {1, 3, 1});
  h.forward();
  // 4 * 0.2^2 / 2, and 3 (1 - 1/8).
  expect_values(h.top(0).data, {0.08f + 2.625f});
  h.top_grad(0, {1});
  h.backward();
  expect_values(h.bottom(0).grad, {1.6f, 3, 0});
}

TEST(SmoothL1Loss, RefusesOtherShapes) {
  EXPECT_ERROR(LayerHarness("type: 'SmoothL1Loss'", {{2, 2}, {2, 3}}),
               "bottom 0 is 2 x 2 and bottom 1 is 2 x 3");
  EXPECT_ERROR(LayerHarness("type: 'SmoothL1Loss'", {{}, {}}), "need an axis for the items");
  EXPECT_ERROR(LayerHarness("type: 'SmoothL1Loss' smooth_l1_loss_param { sigma: 0 }", {{1}, {1}}),
               "sigma must be positive, it is 0");
}

}  // namespace
}  // namespace doppio
