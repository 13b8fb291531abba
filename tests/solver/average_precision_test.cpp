#include "solver/average_precision.hpp"

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

Tensor rows(const std::vector<float>& all) {
  Tensor tensor;
  tensor.reshape({1, 1, static_cast<Index>(all.size()) / 5, 5});
  set_values(tensor, all);
  return tensor;
}

// Class 1 has 4 objects. By score its detections are right, wrong, right, ignored, right. The
// points (recall, precision) are (1/4, 1), (1/4, 1/2), (1/2, 2/3), (3/4, 3/4).
DetectionScores of_two_batches() {
  DetectionScores scores;
  scores.add(rows({-1, 1, 3, -1, -1, 0, 1, 0.9f, 1, 0, 0, 1, 0.5f, 0, 0, 1, 1, 0.7f, 1, 0}));
  scores.add(rows({-1, 1, 1, -1, -1, 0, 1, 0.4f, 1, 0, 1, 1, 0.8f, 0, 1}));
  return scores;
}

TEST(AveragePrecision, IsAnAreaOrAMeanOfTheCurve) {
  const DetectionScores scores = of_two_batches();
  const auto precision = [&](const std::string& version) {
    return scores.average_precisions(version).at(1);
  };
  EXPECT_NEAR(precision("Integral"), (1 + 2 / 3.0 + 3 / 4.0) / 4, 1e-6);
  EXPECT_NEAR(precision("MaxIntegral"), (1 + 0.75 + 0.75) / 4, 1e-6);
  // Precision is 1 at recalls 0, 0.1 and 0.2, then 0.75 up to 0.7, and 0 from 0.8 on.
  EXPECT_NEAR(precision("11point"), (3 * 1 + 5 * 0.75) / 11, 1e-6);
}

TEST(AveragePrecision, IsZeroWithoutObjectsOrDetections) {
  DetectionScores scores;
  scores.add(rows({-1, 1, 0, -1, -1, -1, 2, 5, -1, -1, 0, 1, 0.9f, 0, 1}));
  for (const std::string version : {"Integral", "MaxIntegral", "11point"})
    EXPECT_EQ(scores.average_precisions(version), (std::map<int, float>{{1, 0}, {2, 0}}));
}

TEST(AveragePrecision, IsOneWhenAllIsFound) {
  DetectionScores scores;
  scores.add(rows({-1, 2, 2, -1, -1, 0, 2, 0.9f, 1, 0, 1, 2, 0.8f, 1, 0}));
  for (const std::string version : {"Integral", "MaxIntegral", "11point"})
    EXPECT_NEAR(scores.average_precisions(version).at(2), 1, 1e-6) << version;
}

}  // namespace
}  // namespace doppio
