#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class InfogainLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, InfogainLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

constexpr float kLog3 = 1.0986123f;

TEST_P(InfogainLossTest, WeighsLogProbabilitiesByTheRowOfTheLabel) {
  LayerHarness h("type: 'InfogainLoss'", {{2, 3}, {2}, {1, 1, 3, 3}},
                 {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {0, 0, 0, 5, 5, 5});
  h.bottom_data(1, {0, 2});
  h.bottom_data(2, {1, 0, 0, 0, 1, 0, 0.5f, 0.5f, 3});
  h.forward();
  expect_values(h.top(0).data, {(kLog3 + 4 * kLog3) / 2});
  expect_values(h.top(1).data, std::vector<float>(6, 1.0f / 3));
  h.top_grad(0, {2});
  h.backward({true, false, false});
  expect_values(h.bottom(0).grad,
                {1.0f / 3 - 1, 1.0f / 3, 1.0f / 3, 4.0f / 3 - 0.5f, 4.0f / 3 - 0.5f, 4.0f / 3 - 3});
}

TEST_P(InfogainLossTest, IgnoredLabelsDoNotCount) {
  LayerHarness h("type: 'InfogainLoss' loss_param { ignore_label: 1 }", {{2, 2}, {2}, {2, 2}},
                 {.device = GetParam()});
  h.bottom_data(0, {0, 0, 3, 4});
  h.bottom_data(1, {0, 1});
  h.bottom_data(2, {1, 1, 1, 1});
  h.forward();
  expect_values(h.top(0).data, {2 * 0.6931472f});
  h.top_grad(0, {1});
  h.backward({true, false, false});
  expect_values(h.bottom(0).grad, {0, 0, 0, 0});
}

TEST(InfogainLossErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'InfogainLoss'", {{2, 3}, {2}}), "H is missing");
  EXPECT_ERROR(LayerHarness("type: 'InfogainLoss'", {{2, 3}, {2}, {2, 2}}),
               "3 classes need 3 x 3 numbers");
  EXPECT_ERROR(LayerHarness("type: 'InfogainLoss' infogain_loss_param { source: '/nowhere/H' }",
                            {{2, 3}, {2}}),
               "cannot read /nowhere/H: No such file or directory");
  EXPECT_ERROR(
      LayerHarness("type: 'InfogainLoss' loss_param { normalize: true }", {{2, 3}, {2}, {3, 3}}),
      "normalize does not work here");
  LayerHarness h("type: 'InfogainLoss'", {{1, 2}, {1}, {2, 2}});
  h.bottom_data(1, {2});
  EXPECT_ERROR(h.forward(), "label 2 at item 0 is out of range");
}

}  // namespace
}  // namespace doppio
