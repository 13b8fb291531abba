#include "tools/accuracy.hpp"

#include <cmath>

#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

constexpr const char* kInputs =
    "layer { name: 'in' type: 'Input' top: 'x' top: 'label' input_param { shape { dim: 2 dim: 7 } "
    "shape { dim: 2 } } } ";

const std::vector<float> kScores = {7, 6, 5, 4, 3, 2, 1,  //
                                    1, 2, 2, 0, 0, 0, 0};

/// Returns the counts of a net for two rows of seven scores.
TopCounts counts_of(const std::string& layers, const std::vector<float>& labels,
                    const std::vector<float>& scores = kScores) {
  const NetParameter param = parse_prototxt(kInputs + layers, "net").net;
  NetState state;
  Context ctx;
  Net net(ctx, param, state);
  set_values(net.blob("x").data, scores);
  set_values(net.blob("label").data, labels);
  net.forward();
  TopCounts counts;
  counts.add(find_classifier(net, param).value());
  return counts;
}

TEST(TopCounts, CountsTheBestOneAndFive) {
  const std::string loss =
      "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' }";
  EXPECT_EQ(counts_of(loss, {0, 1}).top1(), 1);  // the two best scores of the second row are equal
  EXPECT_EQ(counts_of(loss, {0, 1}).top5(), 2);
  EXPECT_EQ(counts_of(loss, {4, 3}).top1(), 0);
  EXPECT_EQ(counts_of(loss, {4, 3}).top5(), 1);  // five other scores equal that of class 3
  EXPECT_EQ(counts_of(loss, {0, 1}).summary(),
            "top-1 error 50.00 %, top-5 error 0.00 % (accuracy 50.00 %, 100.00 %) of 2 labels");
}

TEST(TopCounts, FindsNothingRightInANetThatDiverged) {
  const std::string softmax = "layer { name: 'p' type: 'Softmax' bottom: 'x' top: 'p' }";
  EXPECT_EQ(counts_of(softmax, {0, 1}, std::vector<float>(14, std::nanf(""))).top5(), 0);
}

TEST(TopCounts, LeavesOutIgnoredLabels) {
  const std::string accuracy =
      "layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'a' "
      "accuracy_param { ignore_label: 1 } }";
  EXPECT_EQ(counts_of(accuracy, {0, 1}).labels(), 1);
  EXPECT_EQ(counts_of(accuracy, {1, 1}).summary(), "no labels to count");
}

TEST(TopCounts, TakesASoftmaxWithABlobOfLabels) {
  const std::string softmax =
      "layer { name: 'p' type: 'Softmax' bottom: 'x' top: 'p' } "
      "layer { name: 's' type: 'Silence' bottom: 'label' }";
  EXPECT_EQ(counts_of(softmax, {0, 6}).top1(), 1);
}

TEST(TopCounts, RefusesLabelsThatDoNotFit) {
  const std::string softmax = "layer { name: 'p' type: 'Softmax' bottom: 'x' top: 'p' }";
  EXPECT_EQ(error_of([&] {
              counts_of(softmax, {0, 7});
            }),
            "label 7 is out of range; there are 7 classes, 0 to 6");
}

TEST(FindClassifier, KnowsProbabilitiesFromScores) {
  const auto probabilities = [](const std::string& layers) {
    const NetParameter param = parse_prototxt(kInputs + layers, "net").net;
    Context ctx;
    Net net(ctx, param, NetState());
    return find_classifier(net, param).value().probabilities;
  };
  const std::string softmax = "layer { name: 'p' type: 'Softmax' bottom: 'x' top: 'p' }";
  EXPECT_TRUE(probabilities(softmax));
  EXPECT_TRUE(
      probabilities(softmax +
                    "layer { name: 'a' type: 'Accuracy' bottom: 'p' bottom: 'label' top: 'a' }"
                    "layer { name: 's' type: 'Silence' bottom: 'p' }"));
  EXPECT_TRUE(
      probabilities(softmax +
                    "layer { name: 'f' type: 'Flatten' bottom: 'p' top: 'f' }"
                    "layer { name: 'r' type: 'ReLU' bottom: 'f' top: 'f' }"
                    "layer { name: 'a' type: 'Accuracy' bottom: 'f' bottom: 'label' top: 'a' }"));
  EXPECT_FALSE(
      probabilities(softmax +
                    "layer { name: 'f' type: 'Log' bottom: 'p' top: 'f' }"
                    "layer { name: 'a' type: 'Accuracy' bottom: 'f' bottom: 'label' top: 'a' }"));
  EXPECT_FALSE(
      probabilities("layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'a' }"));
  EXPECT_FALSE(
      probabilities("layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' }"));
}

TEST(FindClassifier, FindsNothingInANetWithoutScores) {
  const NetParameter param = parse_prototxt(kInputs, "net").net;
  Context ctx;
  Net net(ctx, param, NetState());
  EXPECT_FALSE(find_classifier(net, param));
}

}  // namespace
}  // namespace doppio
