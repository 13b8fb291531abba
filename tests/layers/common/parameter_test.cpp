#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ParameterTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ParameterTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(ParameterTest, ExposesItsParameterAndAddsToItsGradient) {
  LayerHarness h("type: 'Parameter' parameter_param { shape { dim: 1 dim: 2 } }", {},
                 {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 2}));
  expect_values(h.top(0).data, {0, 0});
  h.param_data(0, {3, 4});
  h.forward();
  expect_values(h.top(0).data, {3, 4});
  h.top_grad(0, {1, 2});
  h.backward();
  h.backward();
  expect_values(h.param(0).grad, {2, 4});
  h.param(0).needs_grad = false;
  h.backward();
  expect_values(h.param(0).grad, {2, 4});
}

TEST(ParameterErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Parameter' parameter_param { shape { dim: -1 } }", {}),
               "shape -1 has a negative size");
}

}  // namespace
}  // namespace doppio
