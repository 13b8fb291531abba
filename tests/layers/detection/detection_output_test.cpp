#include <cmath>

#include "layers/detection/boxes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

// Three priors: the second overlaps the first by 9 / 11, the third by nothing.
const std::vector<float> kPriors = {0,    0,    0.5f, 0.5f, 0.05f, 0,    0.55f, 0.5f,
                                    0.6f, 0.6f, 0.8f, 1,    0.1f,  0.1f, 0.2f,  0.2f,
                                    0.1f, 0.1f, 0.2f, 0.2f, 0.1f,  0.1f, 0.2f,  0.2f};
const std::vector<Shape> kShapes = {{1, 12}, {1, 6}, {1, 2, 12}};

std::string detection(const std::string& param) {
  return "type: 'DetectionOutput' detection_output_param { " + param + " }";
}

std::unique_ptr<LayerHarness> detect(const std::string& param, const std::vector<float>& offsets,
                                     const std::vector<float>& scores) {
  auto h = std::make_unique<LayerHarness>(detection(param), kShapes);
  h->bottom_data(0, offsets);
  h->bottom_data(1, scores);
  h->bottom_data(2, kPriors);
  h->forward();
  return h;
}

TEST(DetectionOutput, AppliesNonMaximumSuppression) {
  const auto h = detect("num_classes: 2 nms_param { nms_threshold: 0.5 }", std::vector<float>(12),
                        {0.3f, 0.7f, 0.1f, 0.9f, 0.4f, 0.6f});
  EXPECT_EQ(h->top(0).shape(), (Shape{1, 1, 2, 7}));
  expect_values(h->top(0).data,
                {0, 1, 0.9f, 0.05f, 0, 0.55f, 0.5f, 0, 1, 0.6f, 0.6f, 0.6f, 0.8f, 1});
}

TEST(DetectionOutput, TakesRegionsInPixels) {
  const std::string param =
      "num_classes: 2 code_type: CENTER_SIZE variance_encoded_in_target: true normalized: false ";
  LayerHarness h(detection(param + "input_width: 100 input_height: 50"),
                 {{1, 8}, {1, 4}, {1, 1, 10}});
  h.bottom_data(0, {0.5f, 0, 0, 0, 0, 0, 0, std::log(2.0f)});
  h.bottom_data(1, {0.2f, 0.8f, 0.4f, 0.6f});
  h.bottom_data(2, {0, 10, 10, 30, 20, 0, 60, 20, 80, 30});
  h.forward();
  expect_values(h.top(0).data, {0, 1, 0.8f, 0.2f, 0.2f, 0.4f, 0.4f,  //
                                0, 1, 0.6f, 0.6f, 0.3f, 0.8f, 0.7f});
  EXPECT_ERROR(LayerHarness(detection(param), {{1, 8}, {1, 4}, {1, 1, 10}}), "needs input_width");
  EXPECT_ERROR(LayerHarness(detection(param + "input_width: 100 input_height: 50"),
                            {{1, 8}, {1, 4}, {1, 2, 8}}),
               "regions of 5 values of one image");
  EXPECT_ERROR(LayerHarness(detection(param + "input_width: 100 input_height: 50"),
                            {{2, 8}, {2, 4}, {1, 1, 10}}),
               "for 2 images");
}

TEST(DetectionOutput, DecodesOffsets) {
  const std::vector<float> offsets = {0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, -1};
  const std::vector<float> scores = {1, 0, 1, 0, 1, 0.5f};
  const auto box = [&](const std::string& code) {
    const auto h =
        detect("num_classes: 2 confidence_threshold: 0.1 code_type: " + code, offsets, scores);
    const std::vector<float> row = values(h->top(0).data);
    return std::vector<float>(row.begin() + 3, row.end());
  };
  const auto expect_box = [](const std::vector<float>& actual, const std::vector<float>& wanted) {
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(actual[i], wanted[i], 1e-6f) << i;
  };
  // The prior is 0.2 wide and 0.4 high, its centre (0.7, 0.8).
  expect_box(box("CORNER"), {0.7f, 0.8f, 1.4f, 0.8f});
  expect_box(box("CORNER_SIZE"), {0.62f, 0.68f, 0.92f, 0.92f});
  const float w = 0.1f * std::exp(0.6f), h = 0.2f * std::exp(-0.2f);
  expect_box(box("CENTER_SIZE"), {0.72f - w, 0.88f - h, 0.72f + w, 0.88f + h});
  expect_box(box("CORNER variance_encoded_in_target: true"), {1.6f, 2.6f, 3.8f, 0});
}

TEST(DetectionOutput, ShareLocationFalseDecodesBoxesPerClass) {
  LayerHarness h(detection("num_classes: 2 share_location: false"), {{2, 16}, {2, 4}, {1, 2, 8}});
  // Per image and prior: the offsets of the background, which do not count, and of class 1.
  h.bottom_data(0, {9, 9, 9, 9, 1, 0, 1, 0, 9, 9, 9, 9, 0,  0, 0, 0,  //
                    9, 9, 9, 9, 0, 1, 0, 1, 9, 9, 9, 9, -1, 0, 0, 0});
  h.bottom_data(1, {0.1f, 0.9f, 0.5f, 0.5f, 0.6f, 0.4f, 0.2f, 0.8f});
  h.bottom_data(2, {0.2f, 0.2f, 0.4f, 0.4f, 0.6f, 0.6f, 0.8f, 0.8f,  //
                    0.1f, 0.1f, 0.2f, 0.2f, 0.1f, 0.1f, 0.2f, 0.2f});
  h.forward();
  const std::vector<float> rows = values(h.top(0).data);
  const std::vector<float> expected = {0, 1, 0.9f, 0.3f, 0.2f, 0.6f, 0.4f,  //
                                       0, 1, 0.5f, 0.6f, 0.6f, 0.8f, 0.8f,  //
                                       1, 1, 0.8f, 0.5f, 0.6f, 0.8f, 0.8f,  //
                                       1, 1, 0.4f, 0.2f, 0.3f, 0.4f, 0.6f};
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(rows[i], expected[i], 1e-6f) << i;
}

TEST(DetectionOutput, AppliesEtaAndTopK) {
  const auto scores = [](const std::string& nms) {
    const auto h = detect("num_classes: 2 nms_param { nms_threshold: 0.9 " + nms + " }",
                          std::vector<float>(12), {0.3f, 0.7f, 0.1f, 0.9f, 0.4f, 0.6f});
    const std::vector<float> rows = values(h->top(0).data);
    std::vector<float> found;
    for (std::size_t i = 2; i < rows.size(); i += 7) found.push_back(rows[i]);
    return found;
  };
  EXPECT_EQ(scores(""), (std::vector<float>{0.9f, 0.7f, 0.6f}));
  // The best box lowers the threshold to 0.45, which the second's overlap of 9 / 11 exceeds.
  EXPECT_EQ(scores("eta: 0.5"), (std::vector<float>{0.9f, 0.6f}));
  EXPECT_EQ(scores("top_k: 2"), (std::vector<float>{0.9f, 0.7f}));
}

TEST(DetectionOutput, CodesDecodeWhatTheyEncoded) {
  const Box prior{0.2f, 0.2f, 0.6f, 0.4f}, variance{0.1f, 0.1f, 0.2f, 0.2f};
  const Box box{0.25f, 0.1f, 0.5f, 0.7f};
  for (const auto type :
       {PriorBoxParameter::CORNER, PriorBoxParameter::CENTER_SIZE, PriorBoxParameter::CORNER_SIZE})
    for (const bool scaled : {true, false}) {
      const BoxCode code{type, scaled};
      const Box same = code.decode(prior, variance, code.encode(prior, variance, box));
      EXPECT_NEAR(same.xmin, box.xmin, 1e-6f) << type;
      EXPECT_NEAR(same.ymin, box.ymin, 1e-6f) << type;
      EXPECT_NEAR(same.xmax, box.xmax, 1e-6f) << type;
      EXPECT_NEAR(same.ymax, box.ymax, 1e-6f) << type;
    }
}

TEST(DetectionOutput, AppliesKeepTopK) {
  const auto h = detect("num_classes: 2 background_label_id: -1 keep_top_k: 3",
                        std::vector<float>(12), {0.3f, 0.7f, 0.1f, 0.9f, 0.4f, 0.6f});
  // By label, then by score.
  const std::vector<float> rows = values(h->top(0).data);
  ASSERT_EQ(rows.size(), 21u);
  EXPECT_EQ((std::vector<float>{rows[1], rows[2], rows[8], rows[9], rows[15], rows[16]}),
            (std::vector<float>{0, 0.4f, 1, 0.9f, 1, 0.6f}));
}

TEST(DetectionOutput, WritesOneRowOfMinusOneIfNothingIsFound) {
  const auto h =
      detect("num_classes: 2 confidence_threshold: 1", std::vector<float>(12), {0, 1, 0, 1, 0, 1});
  expect_values(h->top(0).data, {0, -1, -1, -1, -1, -1, -1});
}

TEST(DetectionOutput, ReadsHowToSaveOutputButSavesNothing) {
  const auto h = detect(
      "num_classes: 2 save_output_param { output_format: 'VOC' resize_param { prob: 1 height: 300 "
      "width: 300 resize_mode: WARP interp_mode: [LINEAR, AREA] } }",
      std::vector<float>(12), {0.3f, 0.7f, 0.1f, 0.9f, 0.4f, 0.6f});
  EXPECT_EQ(h->top(0).shape(), (Shape{1, 1, 2, 7}));
}

TEST(DetectionOutput, RefusesBadInput) {
  EXPECT_ERROR(LayerHarness("type: 'DetectionOutput'", kShapes), "num_classes is missing");
  EXPECT_ERROR(LayerHarness(detection("num_classes: 2 nms_param { nms_threshold: -1 }"), kShapes),
               "nms_threshold must not be negative, it is -1");
  for (const std::string eta : {"0", "1.5", "nan"})
    EXPECT_ERROR(LayerHarness(detection("num_classes: 2 nms_param { eta: " + eta + " }"), kShapes),
                 "eta must be above 0 and at most 1, it is " + eta);
  EXPECT_ERROR(LayerHarness(detection("num_classes: 2"), {{1, 12}, {1, 6}, {1, 12}}),
               "bottom 2 must hold priors, 1 x 2 x (P * 4), it is 1 x 12");
  EXPECT_ERROR(LayerHarness(detection("num_classes: 2 share_location: false"), kShapes),
               "bottom 0 must hold 4 offsets for each of 6 boxes, it is 1 x 12");
  EXPECT_ERROR(LayerHarness(detection("num_classes: 4294967295 share_location: false"), kShapes),
               "num_classes 4294967295 is too large");
  EXPECT_ERROR(LayerHarness(detection("num_classes: 3"), kShapes),
               "bottom 1 must hold 3 scores for each of 3 priors, it is 1 x 6");
}

}  // namespace
}  // namespace doppio
