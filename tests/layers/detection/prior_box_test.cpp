#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string prior_box(const std::string& param) {
  return "type: 'PriorBox' prior_box_param { " + param + " }";
}

TEST(PriorBox, PlacesSquaresAndRatiosAroundEachCell) {
  LayerHarness h(prior_box("min_size: 4 max_size: 9 aspect_ratio: 4 variance: 0.1 variance: 0.1 "
                           "variance: 0.2 variance: 0.2"),
                 {{1, 1, 1, 1}, {1, 3, 10, 20}});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 2, 16}));
  h.forward();
  // Around (10, 5): 4 x 4, 6 x 6, 8 x 2 and 2 x 8 pixels.
  const std::vector<float> boxes = {0.4f, 0.3f, 0.6f, 0.7f, 0.35f, 0.2f, 0.65f, 0.8f,
                                    0.3f, 0.4f, 0.7f, 0.6f, 0.45f, 0.1f, 0.55f, 0.9f};
  std::vector<float> expected = boxes;
  for (int i = 0; i < 4; ++i) expected.insert(expected.end(), {0.1f, 0.1f, 0.2f, 0.2f});
  expect_values(h.top(0).data, expected);
}

TEST(PriorBox, TakesStepOffsetAndImageSize) {
  LayerHarness h(prior_box("min_size: 2.9 aspect_ratio: 1 flip: false clip: true step: 8 "
                           "offset: 0 img_size: 16"),
                 {{1, 1, 1, 2}, {1, 1, 1, 1}});
  h.forward();
  expect_values(h.top(0).data, {0, 0, 0.0625f, 0.0625f, 0.4375f, 0, 0.5625f, 0.0625f,  //
                                0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f});
}

TEST(PriorBox, OrdersPriorsByRowColumnAndSize) {
  LayerHarness h(prior_box("min_size: [4, 1] max_size: [9, 4]"), {{1, 1, 2, 3}, {1, 1, 20, 30}});
  h.forward();
  std::vector<float> expected;
  for (const float y : {5.0f, 15.0f})
    for (const float x : {5.0f, 15.0f, 25.0f})
      for (const float half : {2.0f, 3.0f, 0.5f, 1.0f})
        expected.insert(expected.end(),
                        {(x - half) / 30, (y - half) / 20, (x + half) / 30, (y + half) / 20});
  expected.resize(2 * expected.size(), 0.1f);
  expect_values(h.top(0).data, expected);
}

TEST(PriorBox, TakesWidthsAndHeightsAsTheyAre) {
  for (const std::string type : {"PriorBox", "PriorBoxClustered"}) {
    LayerHarness h("type: '" + type +
                       "' prior_box_param { width: [4.5, 9] height: [3, 12.5] "
                       "step: 8 }",
                   {{1, 1, 1, 1}, {1, 3, 10, 20}});
    EXPECT_EQ(h.top(0).shape(), (Shape{1, 2, 8}));
    h.forward();
    // Around (4, 4).
    expect_values(h.top(0).data,
                  {0.0875f, 0.25f, 0.3125f, 0.55f, -0.025f, -0.225f, 0.425f, 1.025f,  //
                   0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f});
  }
}

TEST(PriorBox, RefusesBadParameters) {
  const std::vector<Shape> bottoms = {{1, 1, 1, 1}, {1, 1, 8, 8}};
  EXPECT_ERROR(LayerHarness(prior_box(""), bottoms), "min_size is missing");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 0"), bottoms),
               "min_size must be at least 1 pixel, it is 0");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 max_size: 2"), bottoms),
               "max_size 2 must be greater than its min_size, which is 2");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 max_size: 3 max_size: 4"), bottoms),
               "give one max_size for each of the 1 min_size, or none");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 aspect_ratio: 0"), bottoms),
               "aspect_ratio must be positive");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 variance: 0"), bottoms),
               "variance must be positive");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 variance: 1 variance: 1"), bottoms),
               "variance is given once or four times, not 2 times");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 img_size: 3 img_h: 3"), bottoms),
               "give either img_size or");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 step: 3 step_h: 3"), bottoms),
               "give either step or");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 step: -3"), bottoms),
               "step must be positive, it is -3");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 step_h: 3"), bottoms),
               "step_h and step_w must be given together");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 step_h: 3 step_w: 0"), bottoms),
               "step_w must be positive, it is 0");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 img_w: 3"), bottoms),
               "img_h and img_w must be given together");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 img_h: 0 img_w: 3"), bottoms),
               "img_h must be positive, it is 0");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2 img_size: 0"), bottoms),
               "img_size must be positive");
  EXPECT_ERROR(LayerHarness(prior_box("width: 2 width: 3 height: 2"), bottoms),
               "width and height must be given in pairs; there are 2 and 1");
  EXPECT_ERROR(LayerHarness(prior_box("width: 2 height: 2 min_size: 3"), bottoms),
               "give either width and height or min_size");
  EXPECT_ERROR(LayerHarness(prior_box("width: 2 height: 2 aspect_ratio: 3"), bottoms),
               "give either width and height or min_size");
  EXPECT_ERROR(LayerHarness(prior_box("width: 2 height: 0"), bottoms),
               "width and height must be positive, not 0");
  EXPECT_ERROR(LayerHarness(prior_box("min_size: 2"), {{1, 1}, {1, 1, 8, 8}}),
               "the map and the image must be N x C x H x W");
}

}  // namespace
}  // namespace doppio
