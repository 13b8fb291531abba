#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Mish, ComputesXTimesTanhOfSoftplus) {
  LayerHarness h("type: 'Mish'", {{5}});
  h.bottom_data(0, {-100, -1, 0, 1, 100});
  h.forward();
  expect_values(h.top(0).data, {0, -0.3034015f, 0, 0.8650984f, 100}, 1e-6f);
  h.top_grad(0, {1, 1, 1, 1, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 0.0592173f, 0.6f, 1.0490363f, 1}, 1e-6f);
}

}  // namespace
}  // namespace doppio
