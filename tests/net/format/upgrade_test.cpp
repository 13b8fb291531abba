#include <google/protobuf/util/message_differencer.h>

#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"
#include "support/log_lines.hpp"

namespace doppio {
namespace {

void expect_upgrades(const std::string& old_text, const std::string& new_text) {
  const NetParameter a = parse_prototxt(old_text, "old").net,
                     b = parse_prototxt(new_text, "new").net;
  google::protobuf::util::MessageDifferencer differ;
  std::string report;
  differ.ReportDifferencesToString(&report);
  EXPECT_TRUE(differ.Compare(a, b)) << report << a.DebugString();
}

TEST(Upgrade, V1Layers) {
  expect_upgrades(R"(
    layers { name: "d" type: DATA top: "x" data_param { source: "s" batch_size: 4 scale: 0.5 mirror: true crop_size: 7 } }
    layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
             param: "w" convolution_param { num_output: 3 kernel_size: 5 } include { phase: TRAIN } }
    layers { name: "l" type: SOFTMAX_LOSS bottom: "c" loss_weight: 2 })",
                  R"(
    layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 4 }
            transform_param { scale: 0.5 mirror: true crop_size: 7 } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "c"
            param { name: "w" lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            convolution_param { num_output: 3 kernel_size: 5 } include { phase: TRAIN } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "c" loss_weight: 2 })");
}

TEST(Upgrade, V1CropOfTheFcnBranch) {
  expect_upgrades("layers { name: 'c' type: CROP bottom: 'x' bottom: 'y' top: 'c' }",
                  "layer { name: 'c' type: 'Crop' bottom: 'x' bottom: 'y' top: 'c' }");
}

TEST(Upgrade, V0LayersWithPadding) {
  expect_upgrades(R"(
    layers { layer { name: "d" type: "data" source: "s" batchsize: 4 cropsize: 7 meanfile: "m" } top: "x" }
    layers { layer { name: "p" type: "padding" pad: 2 } bottom: "x" top: "xp" }
    layers { layer { name: "c" type: "conv" num_output: 3 kernelsize: 5 stride: 2 group: 1 biasterm: false
                     blobs_lr: 1 weight_decay: 3 } bottom: "xp" top: "c" }
    layers { layer { name: "q" type: "pool" pool: AVE kernelsize: 2 } bottom: "c" top: "q" })",
                  R"(
    layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 4 }
            transform_param { crop_size: 7 mean_file: "m" } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "c" param { lr_mult: 1 decay_mult: 3 }
            convolution_param { num_output: 3 kernel_size: 5 stride: 2 pad: 2 group: 1 bias_term: false } }
    layer { name: "q" type: "Pooling" bottom: "c" top: "q" pooling_param { pool: AVE kernel_size: 2 } })");
}

TEST(Upgrade, V0FieldInTheWrongLayerIsNamedAndPassedOver) {
  Lines log;
  const SourcedNet source =
      parse_prototxt("layers {\n layer { name: 'r' type: 'relu' num_output: 3 } }", "n");
  EXPECT_EQ(source.net.layer(0).type(), "ReLU");
  EXPECT_EQ(log.all(), "n:2:33: old layer type 'relu' has no field 'num_output'; it is ignored\n");
}

TEST(Upgrade, InputFieldsBecomeAnInputLayer) {
  expect_upgrades(
      "input: 'a' input: 'b' input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 5 "
      "input_dim: 6 input_dim: 7 input_dim: 8 layer { name: 'r' type: 'ReLU' }",
      "layer { name: 'input' type: 'Input' top: 'a' top: 'b' input_param { shape { dim: 1 dim: 2 "
      "dim: 3 dim: 4 } shape { dim: 5 dim: 6 dim: 7 dim: 8 } } } layer { name: 'r' type: 'ReLU' }");
  expect_upgrades("input: 'a' layer { name: 'r' type: 'ReLU' }",
                  "layer { name: 'r' type: 'ReLU' }");
}

TEST(Upgrade, TooFewInputSizesAreRefused) {
  EXPECT_EQ(error_of([] { parse_prototxt("input: 'a'\ninput_dim: 1 input_dim: 2", "n"); }),
            "n:1:1: error: 1 inputs need 1 input_shape or 4 input_dim, there are 0 and 2");
  EXPECT_ERROR(parse_prototxt("input: 'a' input: 'b' input_shape { dim: 1 }", "n"),
               "2 inputs need 2 input_shape");
}

TEST(Upgrade, BatchNormStatisticsNeverLearn) {
  const NetParameter net =
      parse_prototxt("layer { type: 'BatchNorm' param { lr_mult: 1 } param { } param { } }", "n")
          .net;
  for (const ParamSpec& p : net.layer(0).param()) EXPECT_EQ(p.lr_mult() + p.decay_mult(), 0);
}

}  // namespace
}  // namespace doppio
