#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class HingeLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, HingeLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(HingeLossTest, ComputesL1HingeLoss) {
  LayerHarness h("type: 'HingeLoss'", {{2, 3}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {0.5f, -2, 0, 3, 2, -1});
  h.bottom_data(1, {0, 1});
  h.forward();
  // Item 0: 0.5 + 0 + 1. Item 1: 4 + 0 + 0.
  expect_values(h.top(0).data, {5.5f / 2});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {-1, 0, 1, 1, 0, 0});
}

TEST_P(HingeLossTest, ComputesL2HingeLoss) {
  LayerHarness h("type: 'HingeLoss' hinge_loss_param { norm: L2 }", {{2, 3}, {2, 1}},
                 {.device = GetParam()});
  h.bottom_data(0, {0.5f, -2, 0, 3, 2, -1});
  h.bottom_data(1, {0, 1});
  h.forward();
  expect_values(h.top(0).data, {17.25f / 2});
  h.top_grad(0, {1});
  h.backward();
  expect_values(h.bottom(0).grad, {-0.5f, 0, 1, 4, 0, 0});
}

TEST(HingeLossErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'HingeLoss'", {{2, 3}, {3}}),
               "a bottom of 2 x 3 needs 2 labels, one per item, not 3");
  LayerHarness h("type: 'HingeLoss'", {{2, 3}, {2}});
  h.bottom_data(1, {1, 3});
  EXPECT_ERROR(h.forward(), "label 3 in place 1 is out of range; it must be from 0 to 2");
  h.bottom_data(1, {-1, 0});
  EXPECT_ERROR(h.forward(), "label -1 in place 0");
}

}  // namespace
}  // namespace doppio
