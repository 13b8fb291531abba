#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string upsample(const std::string& param) {
  return "type: 'Upsample' upsample_param { " + param + " }";
}

TEST(Upsample, RepeatsPixels) {
  LayerHarness h(upsample("scale: 2"), {{1, 1, 1, 2}});
  h.bottom_data(0, {1, 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 4}));
  expect_values(h.top(0).data, {1, 1, 2, 2, 1, 1, 2, 2});
  h.top_grad(0, {1, 2, 3, 4, 10, 20, 30, 40});
  h.backward();
  expect_values(h.bottom(0).grad, {33, 77});
}

TEST(Upsample, UnpoolsToTheIndicesOfMaxPooling) {
  LayerHarness h("type: 'Upsample'", {{1, 1, 1, 2}, {1, 1, 1, 2}});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 4}));
  h.bottom_data(0, {5, 6});
  h.bottom_data(1, {4, 3});
  h.forward();
  expect_values(h.top(0).data, {0, 0, 0, 6, 5, 0, 0, 0});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {5, 4});
}

TEST(Upsample, FindsTheSizeToUnpoolTo) {
  const std::vector<Shape> bottoms = {{1, 1, 3, 4}, {1, 1, 3, 4}};
  const auto size = [&](const std::string& param) {
    return LayerHarness(upsample(param), bottoms).top(0).shape();
  };
  EXPECT_EQ(size("scale: 3 pad_out_h: true"), (Shape{1, 1, 8, 12}));
  EXPECT_EQ(size("scale_h: 1 scale_w: 3 pad_out_w: true"), (Shape{1, 1, 3, 11}));
  EXPECT_EQ(size("scale: 2 upsample_h: 7 upsample_w: 9"), (Shape{1, 1, 7, 9}));
}

TEST(Upsample, RefusesBadInput) {
  EXPECT_ERROR(LayerHarness(upsample("scale: 1.5"), {{1, 1, 2, 2}}),
               "scale must be a whole number");
  EXPECT_ERROR(LayerHarness(upsample("scale: 0"), {{1, 1, 2, 2}}), "scale must be a whole number");
  EXPECT_ERROR(LayerHarness(upsample("scale_h: 2000000"), {{1, 1, 2, 2}}),
               "scale_h 2000000 is too large");
  EXPECT_ERROR(LayerHarness(upsample("upsample_h: 2"), {{1, 1, 2, 2}}), "must be given together");
  for (const std::string field : {"scale_h: 2", "scale_w: 2", "pad_out_h: true", "pad_out_w: true",
                                  "upsample_h: 4 upsample_w: 4"})
    EXPECT_ERROR(LayerHarness(upsample("scale: 2 " + field), {{1, 1, 2, 2}}),
                 "with one bottom only scale is allowed");
  EXPECT_ERROR(LayerHarness(upsample("scale: 2"), {{2, 2}}), "needs N x C x H x W");
  EXPECT_ERROR(LayerHarness(upsample("scale: 2"), {{1, 1, 2, 2}, {1, 1, 2, 3}}),
               "bottom 1 must give a place for each value of bottom 0, so be 1 x 1 x 2 x 2");
  EXPECT_ERROR(LayerHarness(upsample("scale_h: 0 scale_w: 1"), {{1, 1, 2, 2}, {1, 1, 2, 2}}),
               "no pixel is left");
  LayerHarness h("type: 'Upsample'", {{1, 1, 1, 1}, {1, 1, 1, 1}});
  h.bottom_data(0, {1});
  h.bottom_data(1, {4});
  EXPECT_EQ(error_of([&] { h.forward(); }),
            "place 4 in place 0 is out of range; it must be from 0 to 3");
}

}  // namespace
}  // namespace doppio
