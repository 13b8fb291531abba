#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SigmoidCrossEntropyLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SigmoidCrossEntropyLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

std::string with(const std::string& param) {
  return "type: 'SigmoidCrossEntropyLoss' loss_param { " + param + " }";
}

constexpr float kLog2 = 0.6931472f;

TEST_P(SigmoidCrossEntropyLossTest, DividesByTheBatchSize) {
  LayerHarness h(with(""), {{2, 2}, {2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), Shape{});
  h.bottom_data(0, {0, 0, 100, -100});
  h.bottom_data(1, {1, 0.5f, 1, 0.25f});
  h.forward();
  expect_values(h.top(0).data, {(2 * kLog2 + 0 + 25) / 2});
  h.top_grad(0, {4});
  h.backward();
  expect_values(h.bottom(0).grad, {-1, 0, 0, -0.5f});
}

// Six elements of cost log 2 in a batch of 2, two of them ignored.
TEST_P(SigmoidCrossEntropyLossTest, FollowsNormalization) {
  const struct {
    const char* param;
    float divisor;
  } cases[] = {{"", 2},
               {"normalization: FULL", 6},
               {"normalization: VALID", 4},
               {"normalization: BATCH_SIZE", 2},
               {"normalization: NONE", 1},
               {"normalize: true", 4},
               {"normalize: false", 2},
               {"normalize: true normalization: FULL", 6}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.param);
    LayerHarness h(with(str("ignore_label: 9 ", c.param)), {{2, 3}, {2, 3}},
                   {.device = GetParam()});
    h.bottom_data(0, {0, 0, 0, 0, 0, 0});
    h.bottom_data(1, {9, 1, 1, 1, 9.5f, 1});
    h.forward();
    expect_values(h.top(0).data, {4 * kLog2 / c.divisor});
    h.top_grad(0, {1});
    h.backward();
    const float d = -0.5f / c.divisor;
    expect_values(h.bottom(0).grad, {0, d, d, d, 0, d});
  }
}

TEST_P(SigmoidCrossEntropyLossTest, IsZeroIfAllLabelsAreIgnored) {
  LayerHarness h(with("ignore_label: 2 normalization: VALID"), {{1, 2}, {1, 2}},
                 {.device = GetParam()});
  h.bottom_data(0, {3, 4});
  h.bottom_data(1, {2, 2});
  h.forward();
  expect_values(h.top(0).data, {0});
  h.top_grad(0, {1});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 0});
}

TEST(SigmoidCrossEntropyLossErrors, NameBothShapes) {
  EXPECT_ERROR(LayerHarness(with(""), {{2, 3}, {2, 2}}),
               "scores of 2 x 3 need as many targets, not 2 x 2");
  EXPECT_ERROR(LayerHarness(with(""), {{2, 3}, {3, 2}}), "not 3 x 2");
}

}  // namespace
}  // namespace doppio
