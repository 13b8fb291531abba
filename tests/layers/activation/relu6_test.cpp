#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Relu6, ClampsToSix) {
  for (const bool in_place : {false, true}) {
    LayerHarness h("type: 'ReLU6' relu6_param { negative_slope: 0.5 }", {{4}},
                   {.in_place = in_place});
    h.bottom_data(0, {-2, 3, 6, 9});
    h.forward();
    expect_values(h.top(0).data, {-1, 3, 6, 6});
    h.top_grad(0, {1, 1, 1, 1});
    h.backward();
    expect_values(h.bottom(0).grad, {0.5f, 1, 0, 0});
  }
}

}  // namespace
}  // namespace doppio
