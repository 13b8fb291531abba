#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class AccuracyTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, AccuracyTest, testing::ValuesIn(test_devices()),
                         device_test_name);

std::string accuracy(const std::string& param) {
  return "type: 'Accuracy' accuracy_param { " + param + " }";
}

/// Four items over three classes; the labels rank 1st, 2nd, 3rd and 1st.
const std::vector<float> kScores = {5, 1, 2,  //
                                    1, 5, 3,  //
                                    9, 8, 7,  //
                                    0, 6, 1};
const std::vector<float> kLabels = {0, 2, 2, 1};

TEST_P(AccuracyTest, ComputesTopKAccuracy) {
  for (const auto& [top_k, expected] : {std::pair{1, 0.5f}, {2, 0.75f}, {3, 1.0f}}) {
    LayerHarness h(accuracy(str("top_k: ", top_k)), {{4, 3}, {4}}, {.device = GetParam()});
    h.bottom_data(0, kScores);
    h.bottom_data(1, kLabels);
    h.forward();
    EXPECT_EQ(h.top(0).shape(), Shape());
    expect_values(h.top(0).data, {expected});
  }
}

TEST_P(AccuracyTest, ComputesPerClassAccuracy) {
  LayerHarness h(accuracy("top_k: 2"), {{4, 3}, {4}}, {.tops = 2, .device = GetParam()});
  h.bottom_data(0, kScores);
  h.bottom_data(1, {2, 2, 2, 1});
  h.forward();
  expect_values(h.top(0).data, {0.75f});
  expect_values(h.top(1).data, {0, 1, 2.0f / 3});
}

TEST_P(AccuracyTest, SkipsIgnoreLabel) {
  LayerHarness h(accuracy("ignore_label: 2"), {{4, 3}, {4}}, {.tops = 2, .device = GetParam()});
  h.bottom_data(0, kScores);
  h.bottom_data(1, {0, 2, 2, 0});
  h.forward();
  expect_values(h.top(0).data, {0.5f});
  expect_values(h.top(1).data, {0.5f, 0, 0});
  h.bottom_data(1, {2, 2, 2, 2});
  h.forward();
  expect_values(h.top(0).data, {0});
}

TEST_P(AccuracyTest, CountsTiesAndNanAsWrong) {
  LayerHarness h(accuracy(""), {{3, 2}, {3}}, {.device = GetParam()});
  h.bottom_data(0, {1, 1, NAN, NAN, 2, 1});
  h.bottom_data(1, {0, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {1.0f / 3});
}

TEST_P(AccuracyTest, ClassesMayLieAlongAnyAxis) {
  LayerHarness h(accuracy("axis: 0"), {{2, 3}, {3}}, {.device = GetParam()});
  h.bottom_data(0, {1, 5, 2,  //
                    0, 6, 3});
  h.bottom_data(1, {0, 0, 1});
  h.forward();
  expect_values(h.top(0).data, {2.0f / 3});
}

TEST_P(AccuracyTest, ChecksLabelsInEveryPass) {
  LayerHarness h(accuracy(""), {{4, 3}, {4}}, {.device = GetParam()});
  h.bottom_data(1, {0, 1, 2, 12});
  EXPECT_ERROR(h.forward(), "label 12 at item 3 is out of range for 3 classes");
}

TEST(AccuracyErrors, NameTheSizes) {
  EXPECT_ERROR(LayerHarness(accuracy("top_k: 0"), {{4, 3}, {4}}), "top_k must be at least 1");
  EXPECT_ERROR(LayerHarness(accuracy("top_k: 5"), {{4, 3}, {4}}), "top_k 5 exceeds the 3 classes");
  EXPECT_ERROR(LayerHarness(accuracy(""), {{4, 3}, {4, 3}}),
               "predictions of 4 x 3 over 3 classes need 4 labels, one per item, not 4 x 3");
}

}  // namespace
}  // namespace doppio
