#include "net/read_prototxt.hpp"

#include "net/passes.hpp"
#include "support/layer_harness.hpp"
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

TEST(ReadPrototxt, KnowsTheLineOfEveryField) {
  const SourcedNet source = parse_prototxt(kTwoLayers, "net.prototxt");
  EXPECT_EQ(source.net.name(), "two");
  ASSERT_EQ(source.layers.size(), 2u);
  EXPECT_EQ(source.where(0).text(), "net.prototxt:2:1");
  EXPECT_EQ(source.where(0, "convolution_param.num_output").text(), "net.prototxt:6:23");
  EXPECT_EQ(source.where(0, "convolution_param.kernel_size").text(), "net.prototxt:6:37");
  EXPECT_EQ(source.where(1, "bottom[0]").text(), "net.prototxt:8:36");
  // A field that is not written stands where its message does.
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
            "n.prototxt:1: default_forward_type is passed over: everything is computed in 32-bit "
            "floats\n"
            "n.prototxt:2: compile_net_state is passed over: the program chooses how to compute\n"
            "n.prototxt:3: forward_type is passed over: everything is computed in 32-bit floats\n"
            "n.prototxt:4: fuse is passed over: the program chooses how to compute\n");
}

TEST(ReadPrototxt, AHintOfAForkInAnotherMessageIsAnError) {
  EXPECT_EQ(error_of([] { parse_prototxt("forward_type: FLOAT16", "n.prototxt"); }),
            "n.prototxt:1:1: error: NetParameter has no field 'forward_type'");
}

TEST(ReadPrototxt, ListsTheValuesOfAnEnum) {
  const std::string text = "layer { name: 'a' type: 'Pooling' pooling_param { pool: AVG } }";
  EXPECT_EQ(error_of([&] { parse_prototxt(text, "n.prototxt"); }),
            "n.prototxt:1:57: error: 'AVG' is not a value of pool; did you mean 'AVE'?; it takes "
            "AVE, MAX, "
            "STOCHASTIC");
}

TEST(ReadPrototxt, NamesTheLineOfASyntaxError) {
  const std::string message =
      error_of([] { parse_prototxt("layer {\n  name: \n}", "n.prototxt"); });
  EXPECT_TRUE(message.starts_with("n.prototxt:3:1: error: ")) << message;
}

TEST(ReadPrototxt, NamesAMissingRequiredField) {
  EXPECT_EQ(error_of([] { parse_prototxt("layer { type: 'Clip'\n clip_param { min: 0 } }", "n"); }),
            "n:2:2: error: the required field 'max' is missing");
}

TEST(ReadPrototxt, MissingFileIsNamed) {
  const std::string message = error_of([] { read_prototxt("no/such/net.prototxt"); });
  EXPECT_NE(message.find("cannot read no/such/net.prototxt: No such file"),
            std::string::npos);
  EXPECT_NE(error_of([] { read_prototxt("/tmp"); }).find("/tmp is a folder"), std::string::npos);
}

TEST(ReadPrototxt, OldAndNewLayersDoNotMix) {
  EXPECT_NE(error_of([] {
              parse_prototxt("layer { } layers { }", "n");
            }).find("both `layer` and `layers`"),
            std::string::npos);
}

}  // namespace
}  // namespace doppio
