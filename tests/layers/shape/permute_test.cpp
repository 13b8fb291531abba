#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Permute, PermutesNchwToNhwc) {
  LayerHarness h("type: 'Permute' permute_param { order: 0 order: 2 order: 3 order: 1 }",
                 {{1, 2, 1, 3}});
  h.bottom_data(0, {1, 2, 3, 10, 20, 30});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 3, 2}));
  expect_values(h.top(0).data, {1, 10, 2, 20, 3, 30});
  h.top_grad(0, {1, 10, 2, 20, 3, 30});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 2, 3, 10, 20, 30});
}

TEST(Permute, AppendsTheAxesThatAreNotListed) {
  LayerHarness h("type: 'Permute' permute_param { order: 2 }", {{2, 1, 3}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{3, 2, 1}));
  expect_values(h.top(0).data, {1, 4, 2, 5, 3, 6});
}

TEST(Permute, RefusesBadOrders) {
  EXPECT_ERROR(LayerHarness("type: 'Permute' permute_param { order: 2 }", {{1, 2}}),
               "order 2 is not an axis of the bottom 1 x 2");
  EXPECT_ERROR(LayerHarness("type: 'Permute' permute_param { order: 1 order: 1 }", {{1, 2}}),
               "order has axis 1 twice");
}

}  // namespace
}  // namespace doppio
