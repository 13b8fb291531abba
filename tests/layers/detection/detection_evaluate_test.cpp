#include "core/item_error.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string evaluate(const std::string& param) {
  return "type: 'DetectionEvaluate' detection_evaluate_param { num_classes: 3 " + param + " }";
}

/// The rows that the layer gives.
std::vector<float> judged(const std::string& param, const std::vector<float>& detections,
                          const std::vector<float>& objects) {
  LayerHarness h(evaluate(param), {{1, 1, static_cast<Index>(detections.size()) / 7, 7},
                                   {1, 1, static_cast<Index>(objects.size()) / 8, 8}});
  h.bottom_data(0, detections);
  h.bottom_data(1, objects);
  h.forward();
  EXPECT_EQ(h.top(0).shape()[3], 5);
  return values(h.top(0).data);
}

// Image 0 has two objects of class 1, the second of them difficult; image 1 one of class 2.
const std::vector<float> kObjects = {0, 1, 0, 0,    0,    0.4f, 0.4f, 0,  //
                                     0, 1, 1, 0.6f, 0.6f, 1,    1,    1,  //
                                     1, 2, 0, 0,    0,    0.5f, 0.5f, 0};

TEST(DetectionEvaluate, MatchesDetectionsInOrderOfScore) {
  const std::vector<float> detections = {
      0, 1, 0.5f, 0,    0,    0.4f, 0.4f,  // on the first object, but a better one is
      0, 1, 0.9f, 0,    0,    0.4f, 0.3f,  // overlaps it by 0.75
      0, 1, 0.4f, 0.6f, 0.6f, 1,    1,     // on the difficult one
      0, 2, 0.8f, 0,    0,    0.4f, 0.4f,  // of another class
      1, 2, 0.7f, 0,    0,    0.2f, 0.2f,  // overlaps by 0.16
  };
  EXPECT_EQ(judged("", detections, kObjects), (std::vector<float>{-1, 1, 2,    -1, -1,  //
                                                                  -1, 2, 1,    -1, -1,  //
                                                                  0,  1, 0.9f, 1,  0,   //
                                                                  0,  1, 0.5f, 0,  1,   //
                                                                  0,  1, 0.4f, 1,  0,   //
                                                                  0,  2, 0.8f, 0,  1,   //
                                                                  1,  2, 0.7f, 0,  1}));
  const std::vector<float> easy =
      judged("evaluate_difficult_gt: false overlap_threshold: 0.8", detections, kObjects);
  EXPECT_EQ(easy[2], 1);  // one object of class 1 counts
  EXPECT_EQ(std::vector<float>(easy.begin() + 10, easy.begin() + 25),
            (std::vector<float>{0, 1, 0.9f, 0, 1, 0, 1, 0.5f, 1, 0, 0, 1, 0.4f, 0, 0}));
}

TEST(DetectionEvaluate, NothingFoundAndNothingThere) {
  EXPECT_EQ(judged("", {0, -1, -1, -1, -1, -1, -1}, std::vector<float>(8, -1)),
            (std::vector<float>{-1, 1, 0, -1, -1, -1, 2, 0, -1, -1}));
}

TEST(DetectionEvaluate, RefusesBadInput) {
  const std::vector<Shape> shapes = {{1, 1, 1, 7}, {1, 1, 1, 8}};
  EXPECT_ERROR(LayerHarness("type: 'DetectionEvaluate'", shapes), "num_classes is missing");
  EXPECT_ERROR(LayerHarness(evaluate("overlap_threshold: 0"), shapes),
               "overlap_threshold must be above 0");
  EXPECT_ERROR(LayerHarness(evaluate("name_size_file: 'f'"), shapes),
               "name_size_file is not supported");
  EXPECT_ERROR(LayerHarness(evaluate("resize_param {}"), shapes), "resize_param is not supported");
  EXPECT_ERROR(LayerHarness(evaluate(""), {{1, 1, 1, 6}, {1, 1, 1, 8}}),
               "bottom 0 must hold detections, 1 x 1 x D x 7, it is 1 x 1 x 1 x 6");
  EXPECT_ERROR(LayerHarness(evaluate(""), {{1, 1, 1, 7}, {1, 1, 1, 7}}),
               "bottom 1 must hold objects, 1 x 1 x G x 8, it is 1 x 1 x 1 x 7");
  const std::vector<float> sound = {0, 1, 1, 0, 0, 1, 1}, none(8, -1);
  const auto detection = [&](std::size_t place, float value) {
    std::vector<float> row = sound;
    row[place] = value;
    return error_of([&] { judged("", row, none); });
  };
  EXPECT_EQ(detection(1, 3), "label 3 of detection 0 is not one of 3 classes, or the background");
  EXPECT_EQ(detection(1, 0), "label 0 of detection 0 is not one of 3 classes, or the background");
  EXPECT_EQ(detection(0, -2), "detection 0 has no image: -2");
  std::vector<float> object = kObjects;
  object[9] = 7;
  EXPECT_EQ(error_of([&] { judged("", sound, object); }),
            "label 7 of object 1 is not one of 3 classes, or the background");
}

}  // namespace
}  // namespace doppio
