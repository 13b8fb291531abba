#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(DepthwiseConvolution, IsAConvolutionWithOneGroupPerChannel) {
  for (const std::string type : {"DepthwiseConvolution", "ConvolutionDepthwise"}) {
    LayerHarness h(
        "type: '" + type + "' convolution_param { num_output: 2 kernel_h: 1 kernel_w: 2 group: 1 }",
        {{1, 2, 1, 3}});
    EXPECT_EQ(h.param(0).shape(), (Shape{2, 1, 1, 2}));
    h.param_data(0, {1, 1, 10, 1});
    h.param_data(1, {0, 100});
    h.bottom_data(0, {1, 2, 3, 4, 5, 6});
    h.forward();
    expect_values(h.top(0).data, {3, 5, 145, 156});
  }
}

}  // namespace
}  // namespace doppio
