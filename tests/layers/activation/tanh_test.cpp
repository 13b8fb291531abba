#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class TanhTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, TanhTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(TanhTest, ComputesTanhAndItsGradient) {
  LayerHarness h("type: 'TanH'", {{4}}, {.device = GetParam()});
  h.bottom_data(0, {0, 1, -1, 100});
  h.forward();
  expect_values(h.top(0).data, {0, 0.7615942f, -0.7615942f, 1});
  h.top_grad(0, {1, 10, 10, 1});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 4.199743f, 4.199743f, 0});
}

TEST_P(TanhTest, WorksInPlace) {
  LayerHarness h("type: 'TanH'", {{2}}, {.in_place = true, .device = GetParam()});
  h.bottom_data(0, {0, 1});
  h.forward();
  h.top_grad(0, {1, 10});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 4.199743f});
}

}  // namespace
}  // namespace doppio
