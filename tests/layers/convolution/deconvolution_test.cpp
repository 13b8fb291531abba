#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class DeconvolutionTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, DeconvolutionTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(DeconvolutionTest, ComputesTransposedConvolutionAndItsGradients) {
  LayerHarness h("type: 'Deconvolution' convolution_param { num_output: 1 kernel_size: 2 }",
                 {{1, 1, 2, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4});
  h.param_data(0, {1, 10, 100, 1000});
  h.param_data(1, {0.5f});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 3, 3}));
  expect_values(h.top(0).data,
                {1.5f, 12.5f, 20.5f, 103.5f, 1234.5f, 2040.5f, 300.5f, 3400.5f, 4000.5f}, 1e-3f);
  h.top_grad(0, {1, 0, 0, 0, 2, 0, 0, 0, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {2001, 200, 20, 2}, 1e-3f);
  expect_values(h.param(0).grad, {1 + 8, 6, 4, 2});
  expect_values(h.param(1).grad, {3});
}

TEST_P(DeconvolutionTest, AppliesStrideAndPad) {
  LayerHarness h(
      "type: 'Deconvolution' convolution_param { num_output: 1 kernel_size: 3 "
      "stride: 2 pad: 1 bias_term: false }",
      {{1, 1, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.param_data(0, {0, 0, 0, 1, 10, 100, 0, 0, 0});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 1, 3}));
  expect_values(h.top(0).data, {10, 102, 20});
}

TEST_P(DeconvolutionTest, AppliesGroups) {
  LayerHarness h(
      "type: 'Deconvolution' convolution_param { num_output: 2 kernel_size: 1 group: 2 "
      "bias_term: false }",
      {{1, 2, 1, 1}}, {.device = GetParam()});
  EXPECT_EQ(h.param(0).shape(), Shape({2, 1, 1, 1}));
  h.bottom_data(0, {3, 5});
  h.param_data(0, {2, 7});
  h.forward();
  expect_values(h.top(0).data, {6, 35});
}

TEST(DeconvolutionErrors, AreNamed) {
  EXPECT_ERROR(
      LayerHarness("type: 'Deconvolution' convolution_param { kernel_size: 2 }", {{1, 1, 2, 2}}),
      "num_output is missing");
  EXPECT_ERROR(LayerHarness("type: 'Deconvolution' convolution_param { num_output: 1 kernel_size: "
                            "2 engine: WINOGRAD }",
                            {{1, 1, 2, 2}}),
               "engine winograd cannot be used");
  EXPECT_ERROR(
      LayerHarness(
          "type: 'Deconvolution' convolution_param { num_output: 1 kernel_size: 2 pad: 2 }",
          {{1, 1, 2, 2}}),
      "pad 2 leaves nothing of an output of 3");
}

}  // namespace
}  // namespace doppio
