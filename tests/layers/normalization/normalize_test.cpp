#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Normalize, DividesByL2NormAcrossSpatial) {
  LayerHarness h("type: 'Normalize' norm_param { scale_filler { value: 20 } }", {{2, 2, 1, 2}});
  EXPECT_EQ(h.param(0).shape(), Shape());
  h.bottom_data(0, {1, 1, 1, 1, 3, 0, 0, 4});
  h.forward();
  expect_values(h.top(0).data, {10, 10, 10, 10, 12, 0, 0, 16});
  h.top_grad(0, {1, 1, 1, 1, 1, 0, 0, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 0, 0, 0, 2.56f, 0, 0, -1.92f});
  expect_values(h.param(0).grad, {2.6f});
}

TEST(Normalize, DividesByL2NormOfEachPosition) {
  LayerHarness h("type: 'Normalize' norm_param { across_spatial: false channel_shared: false }",
                 {{1, 2, 2}});
  EXPECT_EQ(h.param(0).shape(), (Shape{2}));
  h.param_data(0, {10, 100});
  h.bottom_data(0, {3, 0, 4, 5});
  h.forward();
  expect_values(h.top(0).data, {6, 0, 80, 100});
}

TEST(Normalize, RefusesBadInput) {
  EXPECT_ERROR(LayerHarness("type: 'Normalize' norm_param { eps: -1 }", {{1, 2}}),
               "eps -1 is negative");
  EXPECT_ERROR(LayerHarness("type: 'Normalize'", {{2}}),
               "the bottom needs at least the axes N x C");
  LayerHarness h("type: 'Normalize' norm_param { channel_shared: false }", {{1, 2}});
  h.bottom(0).reshape({1, 3});
  EXPECT_EQ(error_of([&] { h.reshape(); }), "the bottom has 3 channels, but the scale is for 2");
}

}  // namespace
}  // namespace doppio
