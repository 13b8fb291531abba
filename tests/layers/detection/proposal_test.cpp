#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string proposal(const std::string& param) {
  return "type: 'Proposal' proposal_param { " + param + " }";
}

/// One square anchor of 16 pixels.
const std::string kSquare = "base_size: 16 ratio: 1 scale: 1 feat_stride: 4 ";

/// Scores of objects at each pixel of a map of one row; those of the background are in the way.
std::vector<float> scores(const std::vector<float>& objects) {
  std::vector<float> all(objects.size(), 9);
  all.insert(all.end(), objects.begin(), objects.end());
  return all;
}

TEST(Proposal, GeneratesAnchorsOfAllRatiosAndScales) {
  // Pixel (1, 1) scores best, its anchors in their order.
  LayerHarness h(proposal("feat_stride: 400 post_nms_topn: 9 nms_thresh: 1"),
                 {{1, 18, 2, 2}, {1, 36, 2, 2}, {1, 3}}, {.tops = 2});
  std::vector<float> s(72, 0.1f), wanted;
  for (std::size_t a = 0; a < 9; ++a) s[(9 + a) * 4 + 3] = 0.9f - 0.01f * static_cast<float>(a);
  h.bottom_data(0, s);
  h.bottom_data(1, std::vector<float>(144, 0.0f));
  h.bottom_data(2, {1000, 1000, 1});
  h.forward();
  // The anchors that Faster R-CNN's authors print for these parameters.
  const float anchors[9][4] = {{-84, -40, 99, 55}, {-176, -88, 191, 103},  {-360, -184, 375, 199},
                               {-56, -56, 71, 71}, {-120, -120, 135, 135}, {-248, -248, 263, 263},
                               {-36, -80, 51, 95}, {-80, -168, 95, 183},   {-168, -344, 183, 359}};
  for (const auto& anchor : anchors) {
    wanted.push_back(0);
    for (const float v : anchor) wanted.push_back(v + 400);
  }
  EXPECT_EQ(h.top(0).shape(), (Shape{9, 5}));
  // Half a pixel less than the size on either side of the centre, half a pixel more at the end.
  for (std::size_t r = 0; r < 9; ++r)
    for (std::size_t i : {3u, 4u}) wanted[r * 5 + i] += 1;
  expect_values(h.top(0).data, wanted, 1e-3f);
  EXPECT_EQ(h.top(1).shape(), (Shape{9}));
  EXPECT_FLOAT_EQ(values(h.top(1).data)[8], 0.82f);
}

TEST(Proposal, AppliesOffsetsAndClipsToTheImage) {
  LayerHarness h(proposal(kSquare + "min_size: 1"), {{1, 2, 1, 1}, {1, 4, 1, 1}, {1, 3}});
  h.bottom_data(0, scores({1}));
  h.bottom_data(1, {0.5f, -0.25f, std::log(2.0f), 0});
  h.bottom_data(2, {10, 100, 1});
  h.forward();
  // The centre (8, 8) goes to (16, 4), the size to 32 x 16; the image is 10 pixels high.
  expect_values(h.top(0).data, {0, 0, 0, 32, 9});
}

TEST(Proposal, AppliesNonMaximumSuppression) {
  const auto regions = [](const std::string& param) {
    LayerHarness h(proposal(kSquare + param), {{1, 2, 1, 2}, {1, 4, 1, 2}, {1, 3}});
    h.bottom_data(0, scores({0.5f, 0.6f}));
    h.bottom_data(1, std::vector<float>(8, 0.0f));
    h.bottom_data(2, {100, 100, 2});
    h.forward();
    return values(h.top(0).data);
  };
  const std::vector<float> best = {0, 4, 0, 20, 16}, both = {0, 4, 0, 20, 16, 0, 0, 0, 16, 16};
  // 17 x 17 pixels each, 13 x 17 in common: 13 / 21.
  EXPECT_EQ(regions("min_size: 1 nms_thresh: 0.61"), best);
  EXPECT_EQ(regions("min_size: 1 nms_thresh: 0.63"), both);
  EXPECT_EQ(regions("min_size: 1 nms_thresh: 0.63 pre_nms_topn: 1"), best);
  EXPECT_EQ(regions("min_size: 1 nms_thresh: 0.63 post_nms_topn: 1"), best);
  EXPECT_TRUE(regions("min_size: 9").empty());  // times the image's scale
}

TEST(Proposal, WritesTheImageIndex) {
  for (const std::vector<float>& sizes :
       {std::vector<float>{100, 100, 1}, std::vector<float>{100, 100, 1, 100, 100, 1}}) {
    LayerHarness h(proposal(kSquare + "min_size: 1"),
                   {{2, 2, 1, 1}, {2, 4, 1, 1}, {Index(sizes.size()) / 3, 3}});
    h.bottom_data(0, {0, 1, 0, 1});
    h.bottom_data(1, {0, 0, 0, 0, 0.25f, 0, 0, 0});
    h.bottom_data(2, sizes);
    h.forward();
    expect_values(h.top(0).data, {0, 0, 0, 16, 16, 1, 4, 0, 20, 16});
  }
}

TEST(Proposal, RefusesBottomsThatDoNotFit) {
  EXPECT_ERROR(
      LayerHarness(proposal(kSquare + "min_size: 1"), {{1, 4, 1, 1}, {1, 4, 1, 1}, {1, 3}}),
      "scores, N x 2 x H x W");
  EXPECT_ERROR(
      LayerHarness(proposal(kSquare + "min_size: 1"), {{1, 2, 1, 1}, {1, 8, 1, 1}, {1, 3}}),
      "4 offsets");
  EXPECT_ERROR(
      LayerHarness(proposal(kSquare + "min_size: 1"), {{1, 2, 1, 1}, {1, 4, 1, 1}, {1, 2}}),
      "height, width and scale");
  EXPECT_ERROR(LayerHarness(proposal("ratio: 0"), {{1, 2, 1, 1}, {1, 4, 1, 1}, {1, 3}}),
               "must be positive");
}

}  // namespace
}  // namespace doppio
