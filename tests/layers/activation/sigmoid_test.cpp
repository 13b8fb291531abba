#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SigmoidTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SigmoidTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SigmoidTest, ComputesSigmoidAndItsGradient) {
  LayerHarness h("type: 'Sigmoid'", {{5}}, {.device = GetParam()});
  h.bottom_data(0, {0, 1, -1, 200, -200});
  h.forward();
  expect_values(h.top(0).data, {0.5f, 0.7310586f, 0.2689414f, 1, 0});
  h.top_grad(0, {1, 10, 10, 1, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {0.25f, 1.966119f, 1.966119f, 0, 0});
}

TEST_P(SigmoidTest, WorksInPlace) {
  LayerHarness h("type: 'Sigmoid'", {{2}}, {.in_place = true, .device = GetParam()});
  h.bottom_data(0, {0, 1});
  h.forward();
  expect_values(h.top(0).data, {0.5f, 0.7310586f});
  h.top_grad(0, {1, 10});
  h.backward();
  expect_values(h.bottom(0).grad, {0.25f, 1.966119f});
}

}  // namespace
}  // namespace doppio
