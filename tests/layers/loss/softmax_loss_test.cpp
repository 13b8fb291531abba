#include <cfloat>
#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class SoftmaxLossTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SoftmaxLossTest, testing::ValuesIn(test_devices()),
                         device_test_name);

const float kLog2 = std::log(2.0f);

std::string loss(const std::string& param) {
  return "type: 'SoftmaxWithLoss' loss_param { " + param + " }";
}

TEST_P(SoftmaxLossTest, ComputesCrossEntropyAndItsGradient) {
  LayerHarness h(loss(""), {{2, 4}, {2}}, {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {0, 0, kLog2, 2 * kLog2, 7 + 2 * kLog2, 7, 7, 7 + kLog2});
  h.bottom_data(1, {3, 3});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape());
  expect_values(h.top(0).data, {1.5f * kLog2});
  expect_values(h.top(1).data, {0.125f, 0.125f, 0.25f, 0.5f, 0.5f, 0.125f, 0.125f, 0.25f});
  h.top_grad(0, {4});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0.25f, 0.25f, 0.5f, -1, 1, 0.25f, 0.25f, -1.5f});
}

TEST_P(SoftmaxLossTest, FollowsNormalization) {
  // Two items of three positions; each of the five that count costs log 2.
  const struct {
    const char* param;
    float divisor;
  } cases[] = {{"", 5},
               {"normalization: VALID", 5},
               {"normalization: FULL", 6},
               {"normalization: BATCH_SIZE", 2},
               {"normalization: NONE", 1},
               {"normalize: true", 5},
               {"normalize: false", 2},
               {"normalize: false normalization: FULL", 6}};
  for (const auto& c : cases) {
    LayerHarness h(loss(std::string("ignore_label: 9 ") + c.param), {{2, 2, 3}, {2, 1, 3}},
                   {.device = GetParam()});
    h.bottom_data(0, std::vector<float>(12, 3));
    h.bottom_data(1, {0, 1, 9, 1, 1, 0});
    h.forward();
    expect_values(h.top(0).data, {5 * kLog2 / c.divisor});
    h.top_grad(0, {2 * c.divisor});
    h.backward({true, false});
    expect_values(h.bottom(0).grad, {-1, 1, 0, 1, -1, 0, 1, 1, -1, -1, -1, 1});
  }
}

TEST_P(SoftmaxLossTest, ClassesMayLieAlongAnyAxis) {
  LayerHarness h("type: 'SoftmaxWithLoss' softmax_param { axis: -1 }", {{1, 2, 4}, {2}},
                 {.device = GetParam()});
  h.bottom_data(0, {0, 0, kLog2, 2 * kLog2, 0, 0, kLog2, 2 * kLog2});
  h.bottom_data(1, {3, 0});
  h.forward();
  expect_values(h.top(0).data, {2 * kLog2});
}

TEST_P(SoftmaxLossTest, IsZeroIfAllLabelsAreIgnored) {
  LayerHarness h(loss("ignore_label: -1"), {{2, 2}, {2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4});
  h.bottom_data(1, {-1, -1});
  h.forward();
  expect_values(h.top(0).data, {0});
  h.top_grad(0, {1});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0, 0, 0, 0});
}

TEST_P(SoftmaxLossTest, StaysFiniteAtProbabilityZero) {
  LayerHarness h(loss(""), {{1, 2}, {1}}, {.device = GetParam()});
  h.bottom_data(0, {0, 1000});
  h.bottom_data(1, {0});
  h.forward();
  expect_values(h.top(0).data, {-std::log(FLT_MIN)});
}

TEST_P(SoftmaxLossTest, ChecksLabelsInEveryPass) {
  LayerHarness h(loss(""), {{2, 3}, {2}}, {.device = GetParam()});
  h.bottom_data(1, {0, 2});
  EXPECT_NO_THROW(h.forward());
  for (const auto& [label, text] : {std::pair{3.0f, "3"}, {-1.0f, "-1"}, {NAN, "nan"}}) {
    h.bottom_data(1, {0, label});
    EXPECT_ERROR(h.forward(), str("label ", text, " at item 1 is out of range for 3 classes"));
  }
}

TEST_P(SoftmaxLossTest, ReportsPositionOfLabelOutOfRange) {
  LayerHarness h(loss("ignore_label: 255"), {{2, 3, 2, 2}, {2, 1, 2, 2}}, {.device = GetParam()});
  h.bottom_data(1, {0, 255, 2, 1, 0, 1, 12, 13});
  EXPECT_ERROR(h.forward(), "label 12 at item 1, position 2 is out of range for 3 classes");
}

TEST(SoftmaxLossErrors, OneLabelPerItem) {
  EXPECT_ERROR(LayerHarness(loss(""), {{6, 5, 2}, {6}}),
               "predictions of 6 x 5 x 2 over 5 classes need 12 labels, one per item, not 6");
}

}  // namespace
}  // namespace doppio
