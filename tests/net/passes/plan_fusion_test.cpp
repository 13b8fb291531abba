// Which layers may be fused. net_fusion_test.cpp tests their results.
#include "net/passes/plan_fusion.hpp"

#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

/// Returns the layers that `first` may fuse, in a net of an input d and the layers `text`.
std::string group(const std::string& first, const std::string& text) {
  Context ctx;
  NetState state;
  state.set_phase(TRAIN);
  Net net(
      ctx,
      parse_prototxt(
          "layer { name: 'd' type: 'Input' top: 'd' input_param { shape { dim: [1, 2, 3, 3] } } }" +
              text,
          "net.prototxt"),
      state);
  std::string names;
  for (const std::size_t k :
       net.fusion().groups[static_cast<std::size_t>(&net.layer(first) - net.layers().data())])
    names += (names.empty() ? "" : " ") + net.layers()[k].name;
  return names;
}

std::string convolution(const std::string& name) {
  return "layer { name: '" + name + "' type: 'Convolution' bottom: 'd' top: '" + name +
         "' convolution_param { num_output: 2 kernel_size: 1 } }";
}

std::string scale(const std::string& param) {
  return "layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' scale_param { " + param + " } }";
}

std::string sum(const std::string& param) {
  return "layer { name: 'e' type: 'Eltwise' bottom: 'b' bottom: 'c' top: 'e' eltwise_param { " +
         param + " } }";
}

const std::string kConvolution = convolution("c");
const std::string kNorm = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'c' }";
const std::string kNormBeside = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'n' }";
const std::string kScale = scale("bias_term: true");
const std::string kRelu = "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }";
const std::string kPoolingOfD =
    "layer { name: 'p' type: 'Pooling' bottom: 'd' top: 'p' pooling_param { kernel_size: 1 } }";

TEST(FusionGroup, HoldsScaleAndReluAfterABatchNorm) {
  EXPECT_EQ(group("n", kConvolution + kNorm + kScale + kRelu), "s r");
  EXPECT_EQ(group("c", kConvolution + kNorm + kScale + kRelu), "n s r");
  EXPECT_EQ(group("c", kConvolution + kNorm + kRelu), "n r");
  EXPECT_EQ(group("n", kConvolution + kNorm + scale("")), "") << "no bias";
  EXPECT_EQ(group("n", kConvolution + kNorm + scale("axis: 2 bias_term: true")), "")
      << "other channels";
  EXPECT_EQ(group("n", kConvolution + kNorm + kRelu + kScale), "r") << "ends with a ReLU";
}

TEST(FusionGroup, HoldsTheBatchNormAfterAConvolution) {
  EXPECT_EQ(group("c", kConvolution + kNormBeside), "n") << "not in place";
  EXPECT_EQ(group("c", kConvolution + kRelu + kNorm), "r") << "not the next";
  EXPECT_EQ(group("c", kConvolution + kNormBeside +
                           "layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p' "
                           "pooling_param { kernel_size: 1 } }"),
            "")
      << "c is split";
}

TEST(FusionGroup, HoldsTheSumWithABlobThatIsThereBefore) {
  const std::string other = convolution("b"), &conv = kConvolution;
  EXPECT_EQ(group("c", other + conv + sum("")), "e");
  EXPECT_EQ(group("c", other + conv + kNorm + kScale + sum("coeff: 1 coeff: 1")), "n s e");
  EXPECT_EQ(group("c", other + conv + kRelu + sum("")), "r") << "a ReLU between";
  EXPECT_EQ(group("c", conv + other + sum("")), "") << "the other branch comes later";
  EXPECT_EQ(group("b", conv + other + sum("")), "e");
  EXPECT_EQ(group("c", other + conv + sum("coeff: 1 coeff: -1")), "");
  EXPECT_EQ(group("c", other + conv + sum("operation: MAX")), "");
}

TEST(FusionGroup, HoldsThePoolingAfterAnLrn) {
  const std::string pooling =
      "layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p' pooling_param { kernel_size: 1 } }";
  const std::string lrn = "layer { name: 'l' type: 'LRN' bottom: 'd' top: 'c' }";
  EXPECT_EQ(group("l", lrn + pooling), "p");
  EXPECT_EQ(group("c", kConvolution + pooling), "") << "a convolution does not pool";
}

TEST(FusionGroup, HoldsTheReluInPlaceThatIsNext) {
  EXPECT_EQ(group("c", kConvolution + kRelu), "r");
  EXPECT_EQ(group("c", kConvolution + kPoolingOfD + kRelu), "r") << "the layer between reads d";
  EXPECT_EQ(group("c", kConvolution + "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'r' }"), "")
      << "not in place";
  EXPECT_EQ(
      group("c", kConvolution + "layer { name: 's' type: 'Sigmoid' bottom: 'c' top: 'c' }" + kRelu),
      "")
      << "not the next";
  EXPECT_EQ(group("c", kConvolution + "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' "
                                      "relu_param { negative_slope: 0.1 } }"),
            "")
      << "leaky";
}

}  // namespace
}  // namespace doppio
