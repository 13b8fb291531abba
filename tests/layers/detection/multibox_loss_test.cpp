#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

// Three priors; the first is on the object (overlap 1), the second overlaps it by 0.6, the third
// not at all. Variances 1.
const std::vector<float> kPriors = {0, 0, 0.4f, 0.4f, 0.1f, 0, 0.5f, 0.4f, 0.6f, 0.6f, 0.8f, 1,
                                    1, 1, 1,    1,    1,    1, 1,    1,    1,    1,    1,    1};
const std::vector<float> kObject = {0, 1, 0, 0, 0, 0.4f, 0.4f, 0};
const std::vector<Shape> kShapes = {{1, 12}, {1, 6}, {1, 2, 12}, {1, 1, 1, 8}};

std::string loss(const std::string& param, const std::string& more = "") {
  return "type: 'MultiBoxLoss' multibox_loss_param { num_classes: 2 " + param + " } " + more;
}

/// Loss of two equal scores under softmax.
const float kHalf = std::log(2.0f);

std::unique_ptr<LayerHarness> run(const std::string& text, const std::vector<float>& offsets,
                                  const std::vector<float>& scores,
                                  const std::vector<float>& object = kObject,
                                  const std::vector<float>& priors = kPriors) {
  auto h = std::make_unique<LayerHarness>(text, kShapes);
  h->bottom_data(0, offsets);
  h->bottom_data(1, scores);
  h->bottom_data(2, priors);
  h->bottom_data(3, object);
  h->forward();
  h->top_grad(0, {1});
  h->backward({true, true, false, false});
  return h;
}

TEST(MultiBoxLoss, ComputesLocalizationAndConfidenceLoss) {
  // One match; loc: 0.5^2 / 2, and one background prior of the two that overlap less than 0.7.
  std::vector<float> offsets(12);
  offsets[0] = 0.5f;
  const auto h = run(loss("match_type: BIPARTITE neg_pos_ratio: 1 neg_overlap: 0.7 loc_weight: 2"),
                     offsets, std::vector<float>(6));
  expect_values(h->top(0).data, {2 * 0.125f + 2 * kHalf});
  std::vector<float> grad(12);
  grad[0] = 1;
  expect_values(h->bottom(0).grad, grad);
  expect_values(h->bottom(1).grad, {0.5f, -0.5f, -0.5f, 0.5f, 0, 0});
}

TEST(MultiBoxLoss, PerPredictionMatchesEachPriorWithItsBestObject) {
  // Two matches; the second prior is off by 0.1 on both sides.
  const auto h = run(loss("mining_type: NONE loc_loss_type: L2 code_type: CORNER"),
                     std::vector<float>(12), std::vector<float>(6));
  expect_values(h->top(0).data, {(0.01f + 3 * kHalf) / 2});
  expect_values(h->bottom(1).grad, {0.25f, -0.25f, 0.25f, -0.25f, -0.25f, 0.25f});
}

TEST(MultiBoxLoss, MinesHardNegatives) {
  // The third prior's background has the larger loss, log(1 + e).
  const auto h = run(loss("match_type: BIPARTITE neg_pos_ratio: 1 neg_overlap: 0.7"),
                     std::vector<float>(12), {0, 0, 0, 0, 0, 1});
  expect_values(h->top(0).data, {kHalf + std::log1p(std::exp(1.0f))});
  // neg_overlap leaves out the second prior even where there is room.
  const auto strict = run(loss("match_type: BIPARTITE neg_overlap: 0.5"), std::vector<float>(12),
                          std::vector<float>(6));
  expect_values(strict->top(0).data, {2 * kHalf});
}

TEST(MultiBoxLoss, HardExamplesCompeteWithMatches) {
  const auto h =
      run(loss("mining_type: HARD_EXAMPLE sample_size: 1", "loss_param { normalization: NONE }"),
          std::vector<float>(12), {0, 0, 0, 0, 0, 1});
  expect_values(h->top(0).data, {std::log1p(std::exp(1.0f))});
}

TEST(MultiBoxLoss, HardExamplesNeedAnObjectButNoMatch) {
  const std::string text =
      loss("mining_type: HARD_EXAMPLE sample_size: 2", "loss_param { normalization: NONE }");
  const std::vector<float> offsets(12), scores = {0, 0, 0, 2, 0, 1};
  const auto far = run(text, offsets, scores, {0, 1, 0, 0.9f, 0, 1, 0.1f, 0});
  expect_values(far->top(0).data, {std::log1p(std::exp(2.0f)) + std::log1p(std::exp(1.0f))});
  const auto empty = run(text, offsets, scores, {-1, 1, 0, 0.9f, 0, 1, 0.1f, 0});
  expect_values(empty->top(0).data, {0});
}

TEST(MultiBoxLoss, LeavesOutPriorsBeyondTheImage) {
  const std::string leave = "ignore_cross_boundary_bbox: true ";
  std::vector<float> first = kPriors, third = kPriors;
  first[0] = -0.1f;
  third[10] = 1.2f;
  const std::vector<float> offsets(12), equal(6), scores = {0, 0, 0, 0, 0, 1};
  // The object takes the second prior instead, and the third is background.
  const auto other = run(loss(leave + "match_type: BIPARTITE"), offsets, equal, kObject, first);
  expect_values(other->top(0).data, {0.01f + 2 * kHalf});
  const auto mined = run(loss(leave + "match_type: BIPARTITE neg_pos_ratio: 1 neg_overlap: 0.7"),
                         offsets, scores, kObject, third);
  expect_values(mined->top(0).data, {2 * kHalf});
  // As the hardest example it takes a place in the sample, but costs nothing.
  const auto hard = [&](const std::string& size) {
    return run(loss(leave + "mining_type: HARD_EXAMPLE sample_size: " + size,
                    "loss_param { normalization: NONE }"),
               offsets, scores, kObject, third);
  };
  expect_values(hard("1")->top(0).data, {0});
  expect_values(hard("2")->top(0).data, {0.01f + kHalf});
  expect_values(hard("2")->bottom(1).grad, {0, 0, 0.5f, -0.5f, 0, 0});
}

TEST(MultiBoxLoss, OffsetsAreInUnitsOfSizeAndVariance) {
  std::vector<float> priors = kPriors;
  const std::vector<float> prior = {0.2f, 0.2f, 0.6f, 0.4f}, variance = {0.1f, 0.1f, 0.2f, 0.2f};
  std::copy(prior.begin(), prior.end(), priors.begin());
  std::copy(variance.begin(), variance.end(), priors.begin() + 12);
  const auto expect_target = [&](const std::string& code, const std::vector<float>& target) {
    const auto h = run(loss("match_type: BIPARTITE loc_loss_type: L2 code_type: " + code),
                       std::vector<float>(12), std::vector<float>(6),
                       {0, 1, 0, 0.22f, 0.2f, 0.62f, 0.44f, 0}, priors);
    const std::vector<float> grad = values(h->bottom(0).grad);  // 0 - target
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(-grad[i], target[i], 1e-5f) << code << i;
  };
  // The object's centre is 0.02 right of the prior's and 0.02 below; it is 0.4 x 0.24.
  expect_target("CORNER", {0.2f, 0, 0.1f, 0.2f});
  expect_target("CENTER_SIZE", {0.5f, 1, 0, 5 * std::log(1.2f)});
  expect_target("CORNER_SIZE", {0.5f, 0, 0.25f, 1});
}

TEST(MultiBoxLoss, LogisticConfidenceLossTreatsClassesIndependently) {
  const auto h = run(loss("mining_type: NONE match_type: BIPARTITE conf_loss_type: LOGISTIC",
                          "loss_param { normalization: FULL }"),
                     std::vector<float>(12), std::vector<float>(6));
  expect_values(h->top(0).data, {6 * kHalf / 3});
}

TEST(MultiBoxLoss, OptionsChooseObjects) {
  std::vector<float> difficult = kObject;
  difficult[7] = 1;
  const auto h = run(loss("use_difficult_gt: false"), std::vector<float>(12), std::vector<float>(6),
                     difficult);
  expect_values(h->top(0).data, {0});
  std::vector<float> other = kObject;
  other[0] = -1;
  const auto none = run(loss(""), std::vector<float>(12), std::vector<float>(6), other);
  expect_values(none->top(0).data, {0});
  std::vector<float> labelled = kObject;
  labelled[1] = 5;
  const auto agnostic =
      run("type: 'MultiBoxLoss' multibox_loss_param { num_classes: 2 background_label_id: 0 "
          "map_object_to_agnostic: true match_type: BIPARTITE do_neg_mining: false }",
          std::vector<float>(12), std::vector<float>(6), labelled);
  expect_values(agnostic->top(0).data, {3 * kHalf});
}

TEST(MultiBoxLoss, ShareLocationFalsePredictsOffsetsPerClass) {
  LayerHarness h(loss("share_location: false match_type: BIPARTITE neg_pos_ratio: 0"),
                 {{1, 24}, {1, 6}, {1, 2, 12}, {1, 1, 1, 8}});
  // Prior 0 is matched: the offsets of the background, which do not count, and of class 1.
  std::vector<float> offsets(24), grad(24);
  for (std::size_t k = 0; k < 4; ++k) offsets[k] = 9;
  offsets[4] = 0.5f;
  offsets[7] = -2;
  grad[4] = 0.5f;
  grad[7] = -1;
  h.bottom_data(0, offsets);
  h.bottom_data(1, std::vector<float>(6));
  h.bottom_data(2, kPriors);
  h.bottom_data(3, kObject);
  h.forward();
  expect_values(h.top(0).data, {0.125f + 1.5f + kHalf});
  h.top_grad(0, {1});
  h.backward({true, true, false, false});
  expect_values(h.bottom(0).grad, grad);
}

TEST(MultiBoxLoss, PropagateDownLeavesAPartOut) {
  std::vector<float> offsets(12);
  offsets[0] = 2;
  const std::string text = loss("match_type: BIPARTITE neg_pos_ratio: 0");
  const auto loc = run(text + "propagate_down: [true, false]", offsets, std::vector<float>(6));
  expect_values(loc->top(0).data, {1.5f});
  const auto conf = run(text + "propagate_down: [false, true]", offsets, std::vector<float>(6));
  expect_values(conf->top(0).data, {kHalf});
}

TEST(MultiBoxLoss, RefusesBadInput) {
  EXPECT_ERROR(LayerHarness("type: 'MultiBoxLoss'", kShapes), "num_classes is missing");
  EXPECT_ERROR(LayerHarness(loss("background_label_id: 2"), kShapes),
               "background_label_id 2 is not one of 2 classes");
  EXPECT_ERROR(LayerHarness(loss("neg_pos_ratio: -1"), kShapes),
               "neg_pos_ratio must not be negative");
  EXPECT_ERROR(LayerHarness(loss("sample_size: 0"), kShapes), "sample_size must be at least 1");
  EXPECT_ERROR(LayerHarness("type: 'MultiBoxLoss' multibox_loss_param { num_classes: 3 "
                            "map_object_to_agnostic: true }",
                            kShapes),
               "it needs num_classes: 2 and background_label_id: 0");
  EXPECT_ERROR(LayerHarness(loss("map_object_to_agnostic: true background_label_id: 1"), kShapes),
               "it needs num_classes: 2 and background_label_id: 0");
  for (const std::string option : {"use_prior_for_matching: false", "bp_inside: true",
                                   "encode_variance_in_target: true", "ignore_difficult_gt: true"})
    EXPECT_ERROR(LayerHarness(loss(option), kShapes), option + " is not supported");
  EXPECT_ERROR(LayerHarness(loss("nms_param {}"), kShapes), "nms_param is not supported");
  EXPECT_ERROR(LayerHarness(loss(""), {{1, 8}, {1, 6}, {1, 2, 12}, {1, 1, 1, 8}}),
               "bottom 0 must hold 4 offsets for each of 3 boxes, it is 1 x 8");
  EXPECT_ERROR(LayerHarness(loss(""), {{1, 12}, {1, 9}, {1, 2, 12}, {1, 1, 1, 8}}),
               "bottom 1 must hold 2 scores for each of 3 priors, it is 1 x 9");
  EXPECT_ERROR(LayerHarness(loss(""), {{1, 12}, {1, 6}, {1, 2, 12}, {1, 1, 1, 7}}),
               "bottom 3 must hold objects, 1 x 1 x G x 8, it is 1 x 1 x 1 x 7");
  const auto error = [&](std::size_t place, float value) {
    std::vector<float> object = kObject;
    object[place] = value;
    return error_of([&] { run(loss(""), std::vector<float>(12), std::vector<float>(6), object); });
  };
  EXPECT_EQ(error(0, 1), "object 0 is in image 1, but there are 1 images");
  EXPECT_EQ(error(1, 2), "label 2 of object 0 is out of range for 2 classes");
  EXPECT_EQ(error(1, 0), "object 0 has the label of the background, 0");
}

}  // namespace
}  // namespace doppio
