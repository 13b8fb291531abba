#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SilenceTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SilenceTest, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SilenceTest, ZeroesGradients) {
  LayerHarness h("type: 'Silence'", {{2}, {3}}, {.tops = 0, .device = GetParam()});
  set_values(h.bottom(0).grad, {1, 2});
  set_values(h.bottom(1).grad, {3, 4, 5});
  h.forward();
  h.backward({false, true});
  expect_values(h.bottom(0).grad, {1, 2});
  expect_values(h.bottom(1).grad, {0, 0, 0});
}

}  // namespace
}  // namespace doppio
