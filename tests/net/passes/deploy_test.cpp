#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

NetState test_state() {
  NetState state;
  state.set_phase(TEST);
  return state;
}

SourcedNet deployed(SourcedNet net, const Shape& input) {
  return deploy(filter(std::move(net), test_state()), input);
}

/// Returns a line per layer: type, bottoms and tops.
std::string outline(const SourcedNet& net) {
  EXPECT_EQ(net.layers.size(), static_cast<std::size_t>(net.net.layer_size()));
  std::string s;
  for (const LayerParameter& l : net.net.layer()) {
    s += l.type() + " " + l.name() + ":";
    for (const std::string& b : l.bottom()) s += " " + b;
    for (const std::string& t : l.top()) s += " > " + t;
    s += '\n';
  }
  return s;
}

constexpr const char* kNet = R"(name: "n"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { mirror: true crop_size: 4 scale: 0.5 mean_value: 1 mean_value: 2 mean_value: 3 views: 2 }
  data_param { source: "db" batch_size: 5 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } bias_filler { value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "side" type: "InnerProduct" bottom: "ip" top: "side" inner_product_param { num_output: 2 } }
layer { name: "side_loss" type: "SoftmaxWithLoss" bottom: "side" bottom: "label" top: "side_loss" loss_weight: 0.3 }
layer { name: "out" type: "InnerProduct" bottom: "ip" top: "out" inner_product_param { num_output: 2 } }
layer { name: "accuracy" type: "Accuracy" bottom: "out" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss"
  softmax_param { axis: 1 } }
)";

TEST(DeployPass, ReplacesDataAndLossAndDropsAuxiliaryLosses) {
  const SourcedNet net = deployed(parse_prototxt(kNet, "n"), {1, 3, 4, 4});
  EXPECT_EQ(outline(net),
            "Input data: > data\n"
            "InnerProduct ip: data > ip\n"
            "ReLU relu: ip > ip\n"
            "InnerProduct out: ip > out\n"
            "Softmax prob: out > prob\n");
  const LayerParameter& input = net.net.layer(0);
  EXPECT_EQ(input.input_param().ShortDebugString(), "shape { dim: 1 dim: 3 dim: 4 dim: 4 }");
  EXPECT_EQ(input.transform_param().ShortDebugString(),
            "scale: 0.5 crop_size: 4 mean_value: 1 mean_value: 2 mean_value: 3");
  EXPECT_EQ(net.net.layer(1).ShortDebugString(),
            R"(name: "ip" type: "InnerProduct" bottom: "data" top: "ip" )"
            R"(inner_product_param { num_output: 7 })");
  EXPECT_EQ(net.net.layer(4).softmax_param().ShortDebugString(), "axis: 1");
}

TEST(DeployPass, KeepsOutputsAndNamesOfSharedWeights) {
  const SourcedNet net = deployed(parse_prototxt(R"(
layer { name: "data" type: "Data" top: "data" top: "label" }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" lr_mult: 2 }
  inner_product_param { num_output: 2 } }
layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" param { name: "w" }
  inner_product_param { num_output: 2 } }
layer { name: "unit" type: "Sigmoid" bottom: "b" top: "unit" }
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "a" bottom: "label" top: "loss" }
)",
                                                 "n"),
                                  {1, 1, 2, 2});
  EXPECT_EQ(outline(net),
            "Input data: > data\n"
            "InnerProduct a: data > a\n"
            "InnerProduct b: data > b\n"
            "Sigmoid unit: b > unit\n"
            "Sigmoid prob: a > prob\n");
  EXPECT_EQ(net.net.layer(1).param(0).ShortDebugString(), "name: \"w\"");
}

TEST(DeployPass, OfOtherLossesTheFirstBottomBecomesAnOutput) {
  const SourcedNet net = deployed(parse_prototxt(R"(
layer { name: "data" type: "HDF5Data" top: "data" top: "label" }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "label" top: "loss" }
)",
                                                 "n"),
                                  {1, 1, 2, 2});
  EXPECT_EQ(outline(net), "Input data: > data\nInnerProduct a: data > a\n");
}

TEST(DeployPass, TwoTasksGiveTwoOutputs) {
  const SourcedNet net = deployed(parse_prototxt(R"(
layer { name: "data" type: "Data" top: "data" top: "label" }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 2 } }
layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" inner_product_param { num_output: 2 } }
layer { name: "loss_a" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss_a" }
layer { name: "loss_b" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss_b" }
)",
                                                 "n"),
                                  {1, 1, 2, 2});
  EXPECT_EQ(outline(net),
            "Input data: > data\n"
            "InnerProduct a: data > a\n"
            "InnerProduct b: data > b\n"
            "Softmax prob_a: a > prob_a\n"
            "Softmax prob: b > prob\n");
}

TEST(DeployPass, RefusesANetThatNeedsLabels) {
  EXPECT_ERROR(deployed(parse_prototxt(R"(
layer { name: "data" type: "Data" top: "data" top: "label" }
layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "label" top: "sum" }
)",
                                       "n.prototxt"),
                        {1, 1, 2, 2}),
               "n.prototxt:2:1: error: a layer that stays in the deploy net reads 'label'");
}

class DeployPassModels : public testing::TestWithParam<const char*> {};

/// What matters of a layer when the net is used.
std::string essence(LayerParameter layer) {
  if (layer.type() == "Input") {
    layer.mutable_input_param()->mutable_shape(0)->set_dim(0, 1);
    layer.clear_name();
    layer.clear_transform_param();
  }
  return layer.ShortDebugString();
}

TEST_P(DeployPassModels, MakesTheDeployNetThatIsThere) {
  const std::string folder = str("models/", GetParam(), "/");
  const SourcedNet there = read_prototxt(folder + "deploy.prototxt");
  const BlobShape& shape = there.net.layer(0).input_param().shape(0);
  const SourcedNet net = deployed(read_prototxt(folder + "train_val.prototxt"),
                                  {1, shape.dim(1), shape.dim(2), shape.dim(3)});
  ASSERT_EQ(net.net.layer_size(), there.net.layer_size());
  for (int i = 0; i < net.net.layer_size(); ++i)
    EXPECT_EQ(essence(net.net.layer(i)), essence(there.net.layer(i)));
  const TransformationParameter& made = net.net.layer(0).transform_param();
  TransformationParameter stated = there.net.layer(0).transform_param();
  if (stated.has_mean_file())  // relative to models/NAME
    stated.set_mean_file(stated.mean_file().substr(std::string("../../").size()));
  EXPECT_EQ(made.ShortDebugString(), stated.ShortDebugString());
}

INSTANTIATE_TEST_SUITE_P(, DeployPassModels,
                         testing::Values("alexnet", "alexnet_paper", "caffenet", "cifar10_alexnet",
                                         "cifar10_full", "cifar10_quick", "fashion_alexnet",
                                         "googlenet", "lenet", "mobilenet_v1", "resnet50",
                                         "squeezenet", "vgg16"),
                         [](const auto& net) { return std::string(net.param); });

}  // namespace
}  // namespace doppio
