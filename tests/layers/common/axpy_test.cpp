#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Axpy, ComputesScaleTimesXPlusY) {
  LayerHarness h("type: 'Axpy'", {{1, 2, 1, 1}, {1, 2, 1, 2}, {1, 2, 1, 2}});
  h.bottom_data(0, {2, 3});
  h.bottom_data(1, {1, 2, 3, 4});
  h.bottom_data(2, {100, 200, 300, 400});
  h.forward();
  expect_values(h.top(0).data, {102, 204, 309, 412});
  h.top_grad(0, {1, 1, 1, 10});
  h.backward();
  expect_values(h.bottom(0).grad, {3, 43});
  expect_values(h.bottom(1).grad, {2, 2, 3, 30});
  expect_values(h.bottom(2).grad, {1, 1, 1, 10});
}

TEST(Axpy, RefusesOtherShapes) {
  EXPECT_ERROR(LayerHarness("type: 'Axpy'", {{1, 2}, {1, 2, 3}, {1, 2, 4}}),
               "bottoms 1 and 2 need the same shape, but they are 1 x 2 x 3 and 1 x 2 x 4");
  EXPECT_ERROR(LayerHarness("type: 'Axpy'", {{1, 3}, {1, 2, 3}, {1, 2, 3}}),
               "bottom 0 needs one factor per item and channel, 1 x 2, but it is 1 x 3");
  EXPECT_ERROR(LayerHarness("type: 'Axpy'", {{2}, {2}, {2}}),
               "bottom 1 needs at least the axes N x C");
}

}  // namespace
}  // namespace doppio
