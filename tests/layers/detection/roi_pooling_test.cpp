#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string pooling(const std::string& param) {
  return "type: 'ROIPooling' roi_pooling_param { " + param + " }";
}

TEST(RoiPooling, MaxPoolsEachBin) {
  LayerHarness h(pooling("pooled_h: 2 pooled_w: 2 spatial_scale: 0.5"), {{1, 1, 4, 4}, {2, 5}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  // 0 .. 2 of both axes, bins of 1.5 pixels that overlap; and a single pixel.
  h.bottom_data(1, {0, 0, 0, 4, 4, 0, 6, 2, 6, 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 1, 2, 2}));
  expect_values(h.top(0).data, {6, 7, 10, 11, 8, 8, 8, 8});
  h.top_grad(0, {1, 1, 1, 1, 1, 1, 1, 1});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0, 0, 0, 0, 0, 1, 1, 4, 0, 1, 1, 0, 0, 0, 0, 0});
}

TEST(RoiPooling, IsZeroOutsideTheMap) {
  LayerHarness h(pooling("pooled_h: 1 pooled_w: 1"), {{1, 1, 1, 2}, {2, 5}});
  h.bottom_data(0, {-3, -4});
  h.bottom_data(1, {0, 5, 5, 6, 6, 0, -9, -9, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {0, -3});
}

TEST(RoiPooling, PooledSizeIsAnotherWayToGiveBins) {
  const auto size = [](const std::string& param) {
    return LayerHarness(pooling(param), {{1, 1, 4, 4}, {2, 5}}).top(0).shape();
  };
  EXPECT_EQ(size("pooled_size: 3"), (Shape{2, 1, 3, 3}));
  EXPECT_EQ(size("pooled_size: 3 pooled_size: 2"), (Shape{2, 1, 3, 2}));
}

TEST(RoiPooling, RefusesBadInput) {
  const std::vector<Shape> bottoms = {{1, 1, 2, 2}, {1, 5}};
  EXPECT_ERROR(LayerHarness(pooling("pooled_size: [1, 2, 3]"), bottoms),
               "pooled_size is given once or twice, not 3 times");
  EXPECT_ERROR(LayerHarness(pooling("pooled_size: 1 pooled_h: 1 pooled_w: 1"), bottoms),
               "give either pooled_size or pooled_h and pooled_w");
  EXPECT_ERROR(LayerHarness(pooling("pooled_size: 0"), bottoms),
               "pooled_h and pooled_w must both be");
  EXPECT_ERROR(LayerHarness("type: 'ROIPooling'", {{1, 1, 2, 2}, {1, 5}}),
               "pooled_h and pooled_w must both be");
  EXPECT_ERROR(
      LayerHarness(pooling("pooled_h: 1 pooled_w: 1 spatial_scale: 0"), {{1, 1, 2, 2}, {1, 5}}),
      "spatial_scale must be positive and less than 10000, it is 0");
  EXPECT_ERROR(LayerHarness(pooling("pooled_h: 1 pooled_w: 1"), {{1, 1, 2, 2}, {1, 4}}),
               "the regions must be R x 5 (image, x1, y1, x2, y2), they are 1 x 4");
  EXPECT_ERROR(LayerHarness(pooling("pooled_h: 1 pooled_w: 1"), {{2, 2}, {1, 5}}),
               "the features must be N x C x H x W, they are 2 x 2");
  LayerHarness h(pooling("pooled_h: 1 pooled_w: 1"), {{1, 1, 2, 2}, {1, 5}});
  h.bottom_data(1, {1, 0, 0, 1, 1});
  EXPECT_EQ(error_of([&] { h.forward(); }), "region 0 is in image 1, but there are 1 images");
  h.bottom_data(1, {0, 0, NAN, 1, 1});
  EXPECT_EQ(error_of([&] { h.forward(); }), "corner nan of region 0 is out of range");
}

}  // namespace
}  // namespace doppio
