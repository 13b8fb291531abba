#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string layer(const std::string& param) {
  return "type: 'Convolution' convolution_param { " + param + " }";
}

class ConvolutionTest : public testing::TestWithParam<Device> {
 protected:
  LayerHarness make(const std::string& param, const std::vector<Shape>& bottoms, int tops = 1) {
    return LayerHarness(layer(param), bottoms, {.tops = tops, .device = GetParam()});
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, ConvolutionTest, testing::ValuesIn(test_devices()),
                         device_test_name);

const std::vector<float> kNine = {1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST_P(ConvolutionTest, CorrelatesWithTheKernelAndAddsTheBias) {
  LayerHarness h = make("num_output: 1 kernel_size: 2", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.param_data(1, {10});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 2}));
  expect_values(h.top(0).data, {47, 57, 77, 87});
}

TEST_P(ConvolutionTest, ComputesGradientsOfBottomWeightAndBias) {
  LayerHarness h = make("num_output: 1 kernel_size: 2", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.top_grad(0, {1, 2, 3, 4});
  h.forward();
  h.backward();
  expect_values(h.bottom(0).grad, {1, 4, 4, 6, 20, 16, 9, 24, 16});
  expect_values(h.param(0).grad, {37, 47, 67, 77});
  expect_values(h.param(1).grad, {10});
}

// 1 = (2 - 3) / 2 + 1: the division rounds towards 0.
TEST_P(ConvolutionTest, PadsInputsALittleSmallerThanTheKernel) {
  LayerHarness h = make("num_output: 1 kernel_size: 3 stride: 2", {{1, 1, 2, 2}});
  h.bottom_data(0, {1, 2, 3, 4});
  h.param_data(0, kNine);
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 1, 1}));
  expect_values(h.top(0).data, {1 * 1 + 2 * 2 + 3 * 4 + 4 * 5});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {2, 4, 8, 10});
  expect_values(h.param(0).grad, {2, 4, 0, 6, 8, 0, 0, 0, 0});
}

TEST_P(ConvolutionTest, ParameterGradientsAccumulateAndBottomGradientsDoNot) {
  LayerHarness h = make("num_output: 1 kernel_size: 2", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.top_grad(0, {1, 2, 3, 4});
  h.forward();
  h.backward();
  h.backward();
  expect_values(h.bottom(0).grad, {1, 4, 4, 6, 20, 16, 9, 24, 16});
  expect_values(h.param(0).grad, {74, 94, 134, 154});
  expect_values(h.param(1).grad, {20});
}

TEST_P(ConvolutionTest, ComputesOnlyTheGradientsThatAreWanted) {
  for (const int frozen : {0, 1}) {
    LayerHarness h = make("num_output: 1 kernel_size: 2", {{1, 1, 3, 3}});
    h.bottom_data(0, kNine);
    h.top_grad(0, {1, 2, 3, 4});
    set_values(h.bottom(0).grad, std::vector<float>(9, 5));
    h.param(frozen).needs_grad = false;
    h.forward();
    h.backward({false});
    expect_values(h.bottom(0).grad, std::vector<float>(9, 5));
    if (frozen == 0)
      expect_values(h.param(0).grad, {0, 0, 0, 0});
    else
      expect_values(h.param(0).grad, {37, 47, 67, 77});
    expect_values(h.param(1).grad, {frozen == 1 ? 0.0f : 10.0f});
  }
}

TEST_P(ConvolutionTest, AppliesStrideAndZeroPadding) {
  LayerHarness h = make(
      "num_output: 1 kernel_size: 2 stride: 2 pad: 1 bias_term: false "
      "weight_filler { type: 'constant' value: 1 }",
      {{1, 1, 3, 3}});
  EXPECT_EQ(h.layer().params.size(), 1u);
  h.bottom_data(0, kNine);
  h.forward();
  expect_values(h.top(0).data, {1, 5, 11, 28});
  h.top_grad(0, {1, 2, 3, 4});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 2, 2, 3, 4, 4, 3, 4, 4});
  expect_values(h.param(0).grad, {20, 12 + 24, 4 + 32, 1 + 6 + 21 + 36});
}

TEST_P(ConvolutionTest, AppliesDilation) {
  LayerHarness h =
      make("num_output: 1 kernel_size: 2 dilation: 2 bias_term: false", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {64});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {2, 0, 4, 0, 0, 0, 6, 0, 8});
  expect_values(h.param(0).grad, {2, 6, 14, 18});
}

TEST_P(ConvolutionTest, AppliesGroups) {
  LayerHarness h = make("num_output: 4 kernel_size: 1 group: 2", {{1, 2, 1, 2}});
  EXPECT_EQ(h.param(0).shape(), (Shape{4, 1, 1, 1}));
  h.bottom_data(0, {1, 2, 3, 4});
  h.param_data(0, {1, 2, 3, 4});
  h.param_data(1, {0, 0, 0, 100});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 2, 4, 9, 12, 112, 116});
  h.top_grad(0, {1, 1, 0, 0, 0, 0, 1, 2});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 1, 4, 8});
  expect_values(h.param(0).grad, {3, 0, 0, 11});
  expect_values(h.param(1).grad, {2, 0, 0, 3});
}

TEST_P(ConvolutionTest, KernelStrideAndPadMayDifferInHeightAndWidth) {
  LayerHarness h = make(
      "num_output: 1 kernel_h: 1 kernel_w: 2 stride_h: 2 stride_w: 1 pad_w: 1 bias_term: false",
      {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 10});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 4}));
  expect_values(h.top(0).data, {10, 21, 32, 3, 70, 87, 98, 9});
}

TEST_P(ConvolutionTest, RoundsOutputSizeDown) {
  LayerHarness h = make("num_output: 1 kernel_size: 3 stride: 2", {{1, 1, 4, 5}});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 1, 2}));
}

TEST_P(ConvolutionTest, ConvolvesOverOneSpatialAxis) {
  LayerHarness h = make("num_output: 1 kernel_size: 2 bias_term: false", {{1, 1, 4}});
  h.bottom_data(0, {1, 2, 4, 8});
  h.param_data(0, {-1, 1});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 4});
  h.top_grad(0, {1, 10, 100});
  h.backward();
  expect_values(h.bottom(0).grad, {-1, -9, -90, 100});
  expect_values(h.param(0).grad, {421, 842});
}

TEST_P(ConvolutionTest, ConvolvesOverThreeSpatialAxes) {
  LayerHarness h = make(
      "num_output: 1 kernel_size: [2, 1, 2] bias_term: false "
      "weight_filler { type: 'constant' value: 1 }",
      {{1, 1, 2, 2, 2}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 1, 2, 1}));
  expect_values(h.top(0).data, {14, 22});
  h.top_grad(0, {1, 2});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 1, 2, 2, 1, 1, 2, 2});
  expect_values(h.param(0).grad, {7, 10, 19, 22});
}

TEST_P(ConvolutionTest, WithoutSpatialAxesIsAMatrixProduct) {
  LayerHarness h = make("num_output: 1", {{2, 3}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6});
  h.param_data(0, {1, 10, 100});
  h.param_data(1, {0.5});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 1}));
  expect_values(h.top(0).data, {321.5, 654.5});
}

TEST_P(ConvolutionTest, AxesBeforeTheChannelsAreTheBatch) {
  LayerHarness h = make("num_output: 1 kernel_size: 2 axis: -2 bias_term: false", {{2, 2, 1, 3}});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  h.param_data(0, {1, -2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2, 1, 2}));
  expect_values(h.top(0).data, {-3, -4, -6, -7, -9, -10, -12, -13});
}

TEST_P(ConvolutionTest, SeveralBottomsShareTheWeights) {
  LayerHarness h = make("num_output: 1 kernel_size: 1", {{1, 1, 1, 2}, {1, 1, 1, 2}}, 2);
  h.bottom_data(0, {1, 2});
  h.bottom_data(1, {3, 4});
  h.param_data(0, {10});
  h.forward();
  expect_values(h.top(0).data, {10, 20});
  expect_values(h.top(1).data, {30, 40});
  h.top_grad(0, {1, 1});
  h.top_grad(1, {1, 2});
  h.backward();
  expect_values(h.bottom(1).grad, {10, 20});
  expect_values(h.param(0).grad, {3 + 11});
  expect_values(h.param(1).grad, {5});
}

TEST_P(ConvolutionTest, ForceNdIm2colGivesTheSame) {
  LayerHarness h = make("num_output: 1 kernel_size: 2 force_nd_im2col: true", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.top_grad(0, {1, 2, 3, 4});
  h.forward();
  h.backward();
  expect_values(h.top(0).data, {37, 47, 67, 77});
  expect_values(h.bottom(0).grad, {1, 4, 4, 6, 20, 16, 9, 24, 16});
}

TEST_P(ConvolutionTest, LargePaddingTakesNoMemory) {
  LayerHarness h =
      make("num_output: 1 kernel_size: 2 pad: 1000000 stride: 1000000", {{1, 1, 3, 3}});
  h.bottom_data(0, kNine);
  h.param_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {0, 0, 0, 0, 37, 0, 0, 0, 0});
}

TEST_P(ConvolutionTest, AnyEngineOfCaffesFilesIsAccepted) {
  for (const char* engine : {"DEFAULT", "CAFFE", "CUDNN", "MKL2017", "MKLDNN", "GEMM"}) {
    LayerHarness h =
        make(std::string("num_output: 1 kernel_size: 2 engine: ") + engine, {{1, 1, 3, 3}});
    h.bottom_data(0, kNine);
    h.param_data(0, {1, 2, 3, 4});
    h.forward();
    expect_values(h.top(0).data, {37, 47, 67, 77});
  }
}

TEST_P(ConvolutionTest, KeepsItsWeightsWhenBatchOrImageGrow) {
  LayerHarness h = make("num_output: 1 kernel_size: 2", {{1, 1, 2, 2}});
  h.param_data(0, {1, 1, 1, 1});
  h.bottom(0).reshape({2, 1, 2, 3});
  h.reshape();
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 1, 1, 2}));
  expect_values(h.top(0).data, {12, 16, 36, 40});
}

TEST_P(ConvolutionTest, AnEmptyBatchGivesAnEmptyTop) {
  LayerHarness h = make("num_output: 2 kernel_size: 1", {{0, 3, 2, 2}});
  h.forward();
  h.backward();
  EXPECT_EQ(h.top(0).shape(), (Shape{0, 2, 2, 2}));
  expect_values(h.param(1).grad, {0, 0});
}

TEST(ConvolutionErrors, SizesAreChecked) {
  const std::vector<Shape> four_by_four = {{1, 4, 4, 4}};
  const std::pair<const char*, const char*> cases[] = {
      {"kernel_size: 1", "num_output is missing"},
      {"kernel_size: 1 num_output: 0", "num_output must be at least 1"},
      {"num_output: 1", "kernel_size is missing: give kernel_size, or kernel_h and kernel_w"},
      {"num_output: 1 kernel_h: 3", "kernel_h and kernel_w must be given together"},
      {"num_output: 1 kernel_size: 1 stride_w: 3", "stride_h and stride_w must be given together"},
      {"num_output: 1 kernel_size: 0", "kernel_size must be at least 1, it is 0"},
      {"num_output: 1 kernel_h: 2 kernel_w: 0", "kernel_w must be at least 1, it is 0"},
      {"num_output: 1 kernel_size: 1 stride: 0", "stride must be at least 1, it is 0"},
      {"num_output: 1 kernel_size: 1 dilation: 0", "dilation must be at least 1, it is 0"},
      {"num_output: 1 kernel_size: 1 pad: 4000000000", "pad 4000000000 is too large"},
      {"num_output: 1 kernel_size: 3 kernel_h: 3 kernel_w: 3",
       "kernel_size and kernel_h are both given"},
      {"num_output: 1 kernel_size: 3 pad: 1 pad_w: 1", "pad and pad_w are both given"},
      {"num_output: 1 kernel_size: 3 stride: 1 stride_h: 1 stride_w: 2",
       "stride and stride_h are both given"},
      {"num_output: 1 kernel_size: 3 pad: [1, 1, 1]",
       "pad is given 3 times; the bottom has 2 spatial axes"},
      {"num_output: 1 kernel_size: 5", "kernel 5 x 5 exceeds the padded input 4 x 4"},
      {"num_output: 1 kernel_size: 6 stride: 2", "kernel 6 x 6 exceeds the padded input 4 x 4"},
      {"num_output: 1 kernel_size: 4 dilation: 2 pad: 1",
       "kernel 4 x 4, spread by its dilation to 7 x 7, exceeds the padded input 6 x 6"},
      {"num_output: 4 kernel_size: 1 group: 0", "group must be at least 1"},
      {"num_output: 3 kernel_size: 1 group: 3",
       "the 4 channels of the bottom cannot be split into 3 groups"},
      {"num_output: 3 kernel_size: 1 group: 2", "num_output 3 is not a multiple of group 2"},
      {"num_output: 1 kernel_size: 1 axis: 4", "axis 4 is out of range"},
  };
  for (const auto& [param, message] : cases) {
    const std::string text = layer(param);
    EXPECT_ERROR(LayerHarness(text, four_by_four), message) << param;
  }
}

TEST(ConvolutionErrors, HeightAndWidthNeedTwoAxes) {
  EXPECT_ERROR(LayerHarness(layer("num_output: 1 kernel_h: 1 kernel_w: 1"), {{1, 1, 4}}),
               "kernel_h and kernel_w need 2 spatial axes, the bottom has 1");
}

TEST(ConvolutionErrors, BottomsMustAgree) {
  EXPECT_ERROR(LayerHarness(layer("num_output: 1 kernel_size: 1"), {{1, 2, 3, 3}, {1, 2, 3, 4}},
                            {.tops = 2}),
               "bottom 1 has shape 1 x 2 x 3 x 4 but bottom 0 has 1 x 2 x 3 x 3");
}

TEST(ConvolutionErrors, ChannelsMayNotChange) {
  LayerHarness h(layer("num_output: 1 kernel_size: 1"), {{1, 2, 3, 3}});
  h.bottom(0).reshape({1, 3, 3, 3});
  EXPECT_ERROR(h.reshape(), "weights of shape 1 x 3 x 1 x 1 but they were made as 1 x 2 x 1 x 1");
}

TEST(ConvolutionErrors, AForcedEngineThatCannotSaysSo) {
  const std::vector<Shape> four_by_four = {{1, 8, 4, 4}};
  EXPECT_ERROR(LayerHarness(layer("num_output: 8 kernel_size: 2 engine: WINOGRAD"), four_by_four),
               "engine winograd cannot be used: it ");
  LayerHarness forced(layer("num_output: 8 kernel_size: 2 engine: ONEDNN"), four_by_four);
  EXPECT_EQ(forced.top(0).shape(), Shape({1, 8, 3, 3}));
}

TEST(ConvolutionErrors, AnErrorNamesItsField) {
  try {
    const LayerHarness wrong(layer("num_output: 1 kernel_size: 1 stride: 0"), {{1, 1, 4, 4}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.field(), "convolution_param.stride");
  }
}

}  // namespace
}  // namespace doppio
