#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class ContrastiveLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ContrastiveLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

// Distances 5 (similar), 0.5 (dissimilar, inside the margin) and 2 (dissimilar, beyond it).
TEST_P(ContrastiveLossTest, ComputesLossAndGradientOfSimilarAndDissimilarPairs) {
  LayerHarness h("type: 'ContrastiveLoss'", {{3, 2}, {3, 2}, {3}}, {.device = GetParam()});
  h.bottom_data(0, {3, 4, 0.5f, 0, 2, 0});
  h.bottom_data(1, {0, 0, 0, 0, 0, 0});
  h.bottom_data(2, {1, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {(25 + 0.25f) / 6});
  h.top_grad(0, {3});
  h.backward();
  const float push = -0.5f / (0.5f + 1e-4f) * 0.5f;
  expect_values(h.bottom(0).grad, {3, 4, push, 0, 0, 0});
  expect_values(h.bottom(1).grad, {-3, -4, -push, 0, 0, 0});
}

TEST_P(ContrastiveLossTest, LegacyVersionUsesSquaredDistance) {
  LayerHarness h(
      "type: 'ContrastiveLoss' contrastive_loss_param { margin: 2 legacy_version: true }",
      {{2, 1}, {2, 1}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 3});
  h.bottom_data(1, {0, 0});
  h.bottom_data(2, {0, 0});
  h.forward();
  expect_values(h.top(0).data, {1 / 4.0f});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {-1, 0});
  expect_values(h.bottom(1).grad, {1, 0});
}

TEST(ContrastiveLossErrors, NameTheShapes) {
  EXPECT_ERROR(LayerHarness("type: 'ContrastiveLoss'", {{2, 3}, {2, 4}, {2}}),
               "the vectors of a pair need the same shape, but they are 2 x 3 and 2 x 4");
  EXPECT_ERROR(LayerHarness("type: 'ContrastiveLoss'", {{2, 3}, {2, 3}, {3}}),
               "a bottom of 2 x 3 needs 2 labels, one per item, not 3");
}

}  // namespace
}  // namespace doppio
