#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string interp(const std::string& param) {
  return "type: 'Interp' interp_param { " + param + " }";
}

TEST(Interp, InterpolatesBilinearlyWithAlignedCorners) {
  LayerHarness h(interp("height: 3 width: 3"), {{1, 1, 2, 2}});
  h.bottom_data(0, {0, 2, 4, 8});
  h.forward();
  expect_values(h.top(0).data, {0, 1, 2, 2, 3.5f, 5, 4, 6, 8});
  h.top_grad(0, {1, 0, 0, 0, 4, 0, 0, 1, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {2, 1, 1.5f, 1.5f});
}

TEST(Interp, ZoomAndShrinkFactorsDetermineTheSize) {
  LayerHarness zoom(interp("zoom_factor: 8"), {{1, 1, 9, 3}});
  EXPECT_EQ(zoom.top(0).shape(), (Shape{1, 1, 65, 17}));
  LayerHarness shrink(interp("shrink_factor: 2"), {{1, 1, 65, 33}});
  EXPECT_EQ(shrink.top(0).shape(), (Shape{1, 1, 33, 17}));
  LayerHarness both(interp("shrink_factor: 2 zoom_factor: 3 pad_beg: -1"), {{1, 1, 6, 8}});
  EXPECT_EQ(both.top(0).shape(), (Shape{1, 1, 7, 10}));
}

TEST(Interp, OneFactorGoesBeforeTheSizeAndTheSizeBeforeBoth) {
  const auto size = [](const std::string& factors) {
    return LayerHarness(interp("height: 4 width: 6 " + factors), {{1, 1, 9, 3}}).top(0).shape();
  };
  EXPECT_EQ(size(""), (Shape{1, 1, 4, 6}));
  EXPECT_EQ(size("zoom_factor: 2"), (Shape{1, 1, 17, 5}));
  EXPECT_EQ(size("shrink_factor: 2"), (Shape{1, 1, 5, 2}));
  EXPECT_EQ(size("shrink_factor: 2 zoom_factor: 2"), (Shape{1, 1, 4, 6}));
  EXPECT_EQ(size("interp_type: 'bilinear'"), (Shape{1, 1, 4, 6}));
}

TEST(Interp, CropsByNegativePads) {
  LayerHarness h(interp("height: 1 width: 2 pad_beg: -1"), {{1, 1, 2, 3}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.forward();
  expect_values(h.top(0).data, {5, 6});
  h.top_grad(0, {7, 8});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 0, 0, 0, 7, 8});
}

TEST(Interp, RefusesBadSizes) {
  EXPECT_ERROR(LayerHarness(interp(""), {{1, 1, 2, 2}}), "the output size is missing");
  EXPECT_ERROR(LayerHarness(interp("height: 3"), {{1, 1, 2, 2}}),
               "height and width must be given together");
  EXPECT_ERROR(LayerHarness(interp("height: 0 width: 1"), {{1, 1, 2, 2}}), "must be at least 1");
  EXPECT_ERROR(LayerHarness(interp("zoom_factor: 0"), {{1, 1, 2, 2}}),
               "zoom_factor must be at least 1, it is 0");
  EXPECT_ERROR(LayerHarness(interp("shrink_factor: -1"), {{1, 1, 2, 2}}),
               "shrink_factor must be at least 1");
  EXPECT_ERROR(LayerHarness(interp("zoom_factor: 2 pad_end: 1"), {{1, 1, 2, 2}}),
               "must not be positive");
  EXPECT_ERROR(LayerHarness(interp("zoom_factor: 2 pad_end: -2"), {{1, 1, 2, 2}}),
               "pad_beg and pad_end leave nothing of 2 pixels");
  EXPECT_ERROR(LayerHarness(interp("zoom_factor: 2 interp_type: 'nearest'"), {{1, 1, 2, 2}}),
               "interp_type nearest is not supported, only bilinear");
  EXPECT_ERROR(LayerHarness(interp("zoom_factor: 2"), {{1, 2}}), "needs N x C x H x W");
}

}  // namespace
}  // namespace doppio
