#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

const std::vector<float> kX = {1, 3, 5, 7};  // mean 4, variance 5
const float kUnit = 1 / std::sqrt(5.0f);

TEST(Bn, SegNetNormalizesByBatchStatistics) {
  for (const std::string phase : {"TRAIN", "TEST"}) {
    LayerHarness h("type: 'BN' phase: " + phase +
                       " bn_param { scale_filler { value: 2 } shift_filler { value: 10 } }",
                   {{2, 1, 1, 2}});
    ASSERT_EQ(h.layer().params.size(), 2u);
    EXPECT_EQ(h.param(0).shape(), (Shape{1, 1, 1, 1}));
    h.bottom_data(0, kX);
    h.forward();
    expect_values(h.top(0).data, {10 - 6 * kUnit, 10 - 2 * kUnit, 10 + 2 * kUnit, 10 + 6 * kUnit});
  }
}

TEST(Bn, SegNetInferenceIsAffine) {
  LayerHarness h("type: 'BN' bn_param { bn_mode: INFERENCE scale_filler { value: 2 } }", {{4, 1}});
  h.param_data(1, {100});
  h.bottom_data(0, kX);
  h.forward();
  expect_values(h.top(0).data, {102, 106, 110, 114});
  h.top_grad(0, {1, 1, 1, 2});
  h.backward();
  expect_values(h.bottom(0).grad, {2, 2, 2, 4});
  expect_values(h.param(0).grad, {23});
  expect_values(h.param(1).grad, {5});
}

TEST(Bn, TsnStoresMovingAverages) {
  LayerHarness h("type: 'BN' bn_param { momentum: 0.75 slope_filler { value: 3 } }", {{4, 1}},
                 {.in_place = true});
  ASSERT_EQ(h.layer().params.size(), 4u);
  h.param_data(2, {8});
  h.param_data(3, {1});
  h.bottom_data(0, kX);
  h.forward();
  expect_values(h.top(0).data, {-9 * kUnit, -3 * kUnit, 3 * kUnit, 9 * kUnit});
  expect_values(h.param(2).data, {7});
  expect_values(h.param(3).data, {2});
}

TEST(Bn, TsnUsesMovingAveragesInTestPhaseOrIfFrozen) {
  for (const std::string text : {"phase: TEST", "bn_param { frozen: true eps: 1e-5 }"}) {
    LayerHarness h("type: 'BN' " + text, {{4, 1}});
    h.param_data(2, {3});
    h.param_data(3, {4});
    h.bottom_data(0, kX);
    h.forward();
    expect_values(h.top(0).data, {-1, 0, 1, 2});
    expect_values(h.param(2).data, {3});
    h.top_grad(0, {1, 1, 1, 2});
    h.backward();
    expect_values(h.bottom(0).grad, {0.5f, 0.5f, 0.5f, 1});
  }
}

TEST(Bn, FrozenHasNoGradientAndStartsWithVarianceOne) {
  for (const bool frozen : {true, false}) {
    LayerHarness h(
        std::string("type: 'BN' bn_param { frozen: ") + (frozen ? "true" : "false") + " }",
        {{4, 1}});
    expect_values(h.param(3).data, {frozen ? 1.0f : 0.0f});
    h.bottom_data(0, kX);
    h.forward();
    h.top_grad(0, {1, 1, 1, 2});
    h.backward();
    expect_values(h.param(1).grad, {frozen ? 0.0f : 5.0f});
  }
}

TEST(Bn, MovingAverageFractionIsAnotherNameOfMomentum) {
  LayerHarness h("type: 'BN' bn_param { moving_average: true decay: 0.25 }", {{4, 1}});
  h.bottom_data(0, kX);
  h.forward();
  expect_values(h.param(2).data, {1});
}

TEST(Bn, RefusesBadInput) {
  EXPECT_ERROR(LayerHarness("type: 'BN' bn_param { eps: 0 }", {{1, 2}}),
               "eps must be positive, it is 0");
  EXPECT_ERROR(LayerHarness("type: 'BN' bn_param { momentum: 2 }", {{1, 2}}),
               "momentum 2 is not between 0");
  EXPECT_ERROR(LayerHarness("type: 'BN' bn_param { axis: 2 }", {{1, 2}}),
               "axis is 2; only channels on axis 1");
  EXPECT_ERROR(LayerHarness("type: 'BN'", {{2}}), "the bottom needs at least the axes N x C");
  LayerHarness h("type: 'BN'", {{1, 2}});
  h.bottom(0).reshape({1, 3});
  EXPECT_EQ(error_of([&] { h.reshape(); }), "the bottom has 3 channels, but the scale is for 2");
  LayerHarness segnet("type: 'BN' phase: TEST bn_param { bn_mode: LEARN }", {{2, 1}});
  segnet.bottom_data(0, {1, 2});
  segnet.forward();
  segnet.top_grad(0, {1, 1});
  EXPECT_EQ(error_of([&] { segnet.backward(); }),
            "BN with the statistics of the batch has a gradient in phase TRAIN only");
}

}  // namespace
}  // namespace doppio
