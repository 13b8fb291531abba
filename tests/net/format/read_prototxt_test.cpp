#include "net/format/read_prototxt.hpp"

#include "doppio/extend/registry.hpp"
#include "net/format/unused_params.hpp"
#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"
#include "support/log_lines.hpp"

namespace doppio {
namespace {

constexpr const char* kTwoLayers = R"(name: "two"
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "relu1" }
)";

std::string refusal(const std::string& text) {
  return error_of([&] { parse_prototxt(text, "n"); });
}

TEST(ReadPrototxt, KnowsTheLineOfEveryField) {
  const SourcedNet source = parse_prototxt(kTwoLayers, "net.prototxt");
  EXPECT_EQ(source.net.name(), "two");
  ASSERT_EQ(source.layers.size(), 2u);
  EXPECT_EQ(source.where(0).text(), "net.prototxt:2:1");
  EXPECT_EQ(source.where(0, "convolution_param.num_output").text(), "net.prototxt:6:23");
  EXPECT_EQ(source.where(0, "convolution_param.kernel_size").text(), "net.prototxt:6:37");
  EXPECT_EQ(source.where(1, "bottom[0]").text(), "net.prototxt:8:36");
  // A field that is not set has the location of its message.
  EXPECT_EQ(source.where(0, "convolution_param.pad").text(), "net.prototxt:6:3");
  EXPECT_EQ(source.where(1, "pooling_param.pad").text(), "net.prototxt:8:1");
}

TEST(ReadPrototxt, ReportsEveryMisspeltFieldWithTheNearestName) {
  const std::string text =
      "nmae: 'x'\nlayer { name: 'a' tpye: 'ReLU'\n pooling_param { kernelsize: 3 } }\n";
  EXPECT_EQ(error_of([&] { parse_prototxt(text, "n.prototxt"); }),
            "n.prototxt:1:1: error: NetParameter has no field 'nmae'; did you mean 'name'?\n"
            "n.prototxt:2:19: error: LayerParameter has no field 'tpye'; did you mean 'type'?\n"
            "n.prototxt:3:18: error: PoolingParameter has no field 'kernelsize'; did you mean "
            "'kernel_size'?");
}

TEST(ReadPrototxt, PassesOverHintsOfForksAndSaysSo) {
  Lines log;
  const SourcedNet source = parse_prototxt(
      "default_forward_type: FLOAT16\ncompile_net_state { bn_scale_merge: true }\n"
      "layer { name: 'a' type: 'ReLU' forward_type: FLOAT16\n relu_param { fuse: true } }\n"
      "layer { name: 'b' type: 'ReLU' forward_type: FLOAT16 }\n",
      "n.prototxt");
  ASSERT_EQ(source.net.layer_size(), 2);
  EXPECT_EQ(source.net.layer(1).name(), "b");
  EXPECT_EQ(log.all(),
            "n.prototxt:1: default_forward_type is ignored: everything is computed in 32-bit "
            "floats\n"
            "n.prototxt:2: compile_net_state is ignored: the program chooses how to compute\n"
            "n.prototxt:3: forward_type is ignored: everything is computed in 32-bit floats\n"
            "n.prototxt:4: fuse is ignored: the program chooses how to compute\n");
}

TEST(ReadPrototxt, AHintOfAForkInAnotherMessageIsAnError) {
  EXPECT_EQ(error_of([] { parse_prototxt("forward_type: FLOAT16", "n.prototxt"); }),
            "n.prototxt:1:1: error: NetParameter has no field 'forward_type'");
}

TEST(ReadPrototxt, ListsTheValuesOfAnEnum) {
  const std::string text = "layer { name: 'a' type: 'Pooling' pooling_param { pool: AVG } }";
  EXPECT_EQ(error_of([&] { parse_prototxt(text, "n.prototxt"); }),
            "n.prototxt:1:57: error: 'AVG' is not a value of pool; did you mean 'AVE'?; it takes "
            "MAX, AVE, STOCHASTIC");
}

TEST(ReadPrototxt, NamesTheLineOfASyntaxError) {
  EXPECT_EQ(refusal("layer {\n  name: \n}"), "n:3:1: error: 'name' takes text in quotes, not '}'");
}

TEST(ReadPrototxt, AnUnknownTypeIsNotHiddenByItsParameters) {
  EXPECT_EQ(
      refusal("layer {\n name: 'f' focal_param { gamma: 2 }\n type: 'Focal' }"),
      "n:3:2: error: layer 'f' (Focal): unknown layer type 'Focal'; `doppio layers` lists the "
      "known types");
  EXPECT_EQ(refusal("layer { name: 'f' focal_param { gamma: 2 } type: 'Relu' tpo: 'x' }"),
            "n:1:44: error: layer 'f' (Relu): unknown layer type 'Relu'; did you mean 'ReLU'?; "
            "`doppio layers` lists the known types\n"
            "n:1:57: error: LayerParameter has no field 'tpo'; did you mean 'top'?");
}

TEST(ReadPrototxt, FieldsThatEndAlikeAreNotNear) {
  EXPECT_EQ(refusal("layer { type: 'ReLU' focal_param { } }"),
            "n:1:22: error: LayerParameter has no field 'focal_param'");
}

TEST(ReadPrototxt, TellsTheOldFormFromToday) {
  const std::pair<const char*, const char*> cases[] = {
      {"layers { type: 'ReLU' }",
       "n:1:16: error: 'layers' is the old form, in which a type is a bare word: type: RELU; or "
       "write 'layer' with type: \"ReLU\""},
      {"layers { type: 'SOFTMAX_LOSS' }\nlayers { type: 'RELU' }",
       "n:1:16: error: 'layers' is the old form, in which a type is a bare word: type: "
       "SOFTMAX_LOSS; or write 'layer' with type: \"SoftmaxWithLoss\""},
      {"layers { type: ReLU }",
       "n:1:16: error: 'layers' is the old form, in which a type is a bare word: type: RELU; or "
       "write 'layer' with type: \"ReLU\""},
      {"layers { type: 'BatchNorm' }",
       "n:1:16: error: 'layers' is the old form, which has no type BatchNorm; write 'layer' with "
       "type: \"BatchNorm\""},
      {"layers { type: RLEU }", "n:1:16: error: unknown layer type 'RLEU'; did you mean 'RELU'?"},
      {"layer { type: RELU }\nlayer { type: CONVOLUTION }",
       "n:1:15: error: in 'layer' the type is quoted: type: \"ReLU\"; bare words such as RELU "
       "belong to the old form, 'layers'"},
      {"layer { type: ReLU }", "n:1:15: error: 'type' takes text in quotes: type: \"ReLU\""},
      {"layer { blobs_lr: 1 blobs_lr: 2 }\nlayer { blobs_lr: 1 }",
       "n:1:9: error: 'blobs_lr' belongs to the old form, 'layers'; in 'layer' write param { "
       "lr_mult: 1 }, one for each parameter"},
      {"layer { param: 'w' }",
       "n:1:16: error: a bare name of a parameter belongs to the old form, 'layers'; in 'layer' "
       "write param { name: 'w' }"},
      {"layers { param { lr_mult: 1 } param { lr_mult: 2 } }",
       "n:1:16: error: 'layers' is the old form, in which param is a name and the rates are "
       "blobs_lr and weight_decay; write 'layer' to use param { lr_mult: 1 }"},
      {"layers { batch_norm_param { } }",
       "n:1:10: error: 'layers' is the old form, which has no 'batch_norm_param'; write 'layer', "
       "with the type in quotes"},
      {"layer { }\nlayers { }",
       "n:2:1: error: has both 'layer' and 'layers', the old form; write every 'layers' as "
       "'layer', with the type in quotes"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(refusal(text), message);
}

TEST(ReadPrototxt, ASolverIsNoNet) {
  EXPECT_EQ(refusal("net: 'x'\nbase_lr: 1\nmax_iter: 3"),
            "n: error: this is a solver; expected a net, which a solver names in its field "
            "'net'");
  SolverParameter solver;
  EXPECT_EQ(error_of([&] { parse_text("name: 'x' layer { }", "n", solver); }),
            "n: error: this is a net; expected a solver, which names its net: net: \"n\"");
}

TEST(ReadPrototxt, WarnsOfParametersThatATypeDoesNotRead) {
  Lines log;
  parse_prototxt(
      "layer { type: 'ReLU'\n convolution_param { } relu_param { } }\n"
      "layer { type: 'ReLU' convolution_param { } }\n"
      "layer { type: 'Deconvolution' convolution_param { } }\n"
      "layer { type: 'Data' data_param { } transform_param { } image_data_param { } }\n"
      "layer { type: 'OfAnotherLibrary' convolution_param { } }\n",
      "unused.prototxt");
  EXPECT_EQ(log.all(),
            "unused.prototxt:2:2: convolution_param has no effect in a layer of type ReLU (1 more "
            "like it)\n"
            "unused.prototxt:5:57: image_data_param has no effect in a layer of type Data\n");
}

TEST(ReadPrototxt, KnowsTheParametersOfEveryType) {
  for (const std::string& type : LayerRegistry::instance().types())
    EXPECT_TRUE(has_known_params(type)) << type << ": add it to src/net/format/unused_params.cpp";
}

TEST(ReadPrototxt, NamesAMissingRequiredField) {
  EXPECT_EQ(error_of([] { parse_prototxt("layer { type: 'Clip'\n clip_param { min: 0 } }", "n"); }),
            "n:2:2: error: the required field 'max' is missing");
}

TEST(ReadPrototxt, MissingFileIsNamed) {
  EXPECT_ERROR(read_prototxt("no/such/net.prototxt"),
               "cannot read no/such/net.prototxt: No such file");
  EXPECT_ERROR(read_prototxt("/tmp"), "/tmp is a folder");
}

}  // namespace
}  // namespace doppio
