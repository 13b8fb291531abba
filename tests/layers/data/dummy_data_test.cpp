#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string dummy(const std::string& param, int tops = 1) {
  std::string text = "type: 'DummyData' dummy_data_param { " + param + " }";
  for (int t = 0; t < tops; ++t) text += str(" top: 'top", t, "'");
  return text;
}

TEST(DummyData, FillsWithZerosByDefault) {
  LayerHarness h(dummy("shape { dim: [2, 3] }"), {});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({2, 3}));
  expect_values(h.top(0).data, {0, 0, 0, 0, 0, 0});
}

TEST(DummyData, TakesOneShapeAndFillerPerTop) {
  LayerHarness h(dummy("shape { dim: 2 } shape { dim: [1, 1] } data_filler { value: 3 } "
                       "data_filler { value: 4 }",
                       2),
                 {}, {.tops = 2});
  h.forward();
  expect_values(h.top(0).data, {3, 3});
  EXPECT_EQ(h.top(1).shape(), Shape({1, 1}));
  expect_values(h.top(1).data, {4});
}

TEST(DummyData, TakesOneShapeAndFillerForAllTops) {
  LayerHarness h(dummy("num: 1 channels: 2 height: 1 width: 1 data_filler { value: 3 }", 2), {},
                 {.tops = 2});
  h.forward();
  for (const int t : {0, 1}) {
    EXPECT_EQ(h.top(t).shape(), Shape({1, 2, 1, 1}));
    expect_values(h.top(t).data, {3, 3});
  }
}

TEST(DummyData, DrawsAnewInEachPassAndTheSameInEachRun) {
  const std::string text = dummy("shape { dim: 50 } data_filler { type: 'uniform' }", 2);
  LayerHarness a(text, {}, {.tops = 2}), b(text, {}, {.tops = 2});
  a.forward();
  b.forward();
  const std::vector<float> first = values(a.top(0).data);
  EXPECT_EQ(first, values(b.top(0).data));
  EXPECT_NE(first, values(a.top(1).data));
  a.ctx().pass = b.ctx().pass = 1;
  a.forward();
  b.forward();
  EXPECT_NE(first, values(a.top(0).data));
  EXPECT_EQ(values(a.top(0).data), values(b.top(0).data));
}

TEST(DummyData, ConstantsAreFilledOnce) {
  LayerHarness h(dummy("shape { dim: 2 } data_filler { value: 3 }"), {});
  h.forward();
  set_values(h.top(0).data, {1, 2});
  h.forward();
  expect_values(h.top(0).data, {1, 2});
}

TEST(DummyData, RefusesOtherNumbersOfFields) {
  EXPECT_ERROR(LayerHarness(dummy(""), {}), "shape is missing");
  EXPECT_ERROR(LayerHarness(dummy("channels: 1"), {}),
               "0 values of num for 1 tops; give one, or one per top");
  EXPECT_ERROR(LayerHarness(dummy("num: 1 channels: 1 height: 1"), {}), "0 values of width");
  EXPECT_ERROR(LayerHarness(dummy("shape { } shape { }", 3), {}, {.tops = 3}),
               "2 values of shape for 3 tops");
  EXPECT_ERROR(LayerHarness(dummy("shape { } data_filler { } data_filler { }"), {}),
               "2 values of data_filler");
  EXPECT_ERROR(LayerHarness(dummy("shape { } num: 1"), {}), "either by shape or by num");
}

}  // namespace
}  // namespace doppio
