// `doppio upgrade` for each kind of file.
#include <google/protobuf/text_format.h>

#include <fstream>
#include <sstream>

#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "io/input_file.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

class Upgrade : public testing::Test {
 protected:
  /// Returns the output of `doppio COMMAND` for a file with these contents.
  std::string upgrade(const std::string& contents, const std::string& command = "upgrade") {
    const Outcome r = run_doppio({command, folder.write("in", contents), folder / "out"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    log = r.err;
    return read_file(folder / "out");
  }
  std::string refusal(const std::string& contents) {
    const Outcome r = run_doppio({"upgrade", folder.write("in", contents), folder / "out"});
    EXPECT_EQ(r.exit_code, 1);
    return r.err;
  }

  ScratchFolder folder;
  std::string log;
};

TEST_F(Upgrade, NetAsText) {
  const std::string text = upgrade(
      "input: 'x' input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2 # old\n"
      "layers { name: 'r' type: RELU bottom: 'x' top: 'x' }");
  const NetParameter net = parse_prototxt(text, "out").net;
  ASSERT_EQ(net.layer_size(), 2);
  EXPECT_EQ(net.layer(0).type(), "Input");
  EXPECT_EQ(net.layer(1).type(), "ReLU");
  EXPECT_TRUE(contains(text, "layer {\n  name: \"r\"\n  type: \"ReLU\"\n")) << text;
  EXPECT_TRUE(contains(log, "] Wrote upgraded net (text) to " + (folder / "out"))) << log;
  EXPECT_EQ(upgrade(text), text) << "the present form stays as it is";
}

TEST_F(Upgrade, Solver) {
  const std::string text = upgrade(
      "base_lr: 0.5 solver_type: ADAM net_param { layers { type: TANH bottom: 'x' top: 'x' } }",
      "upgrade_solver_proto_text");
  EXPECT_EQ(text,
            "base_lr: 0.5\nnet_param {\n  layer {\n    type: \"TanH\"\n    bottom: \"x\"\n    top: "
            "\"x\"\n  }\n}\ntype: \"Adam\"\n");
  EXPECT_TRUE(contains(log, "upgraded solver to ")) << log;
}

TEST_F(Upgrade, Weights) {
  NetParameter old;
  V1LayerParameter& conv = *old.add_layers();
  conv.set_name("c");
  conv.set_type(V1LayerParameter::CONVOLUTION);
  BlobProto& bias = *conv.add_blobs();
  bias.set_num(1), bias.set_channels(1), bias.set_height(1), bias.set_width(2);
  bias.add_double_data(1.5);
  bias.add_double_data(2.5);
  BlobProto& raw = *conv.add_blobs();
  raw.mutable_shape()->add_dim(1);
  raw.set_raw_data_type(BlobProto::FLOAT16);
  raw.set_raw_data(std::string("\0\x3e", 2));
  NetParameter net;
  ASSERT_TRUE(net.ParseFromString(upgrade(old.SerializeAsString(), "upgrade_net_proto_binary")));
  net.DiscardUnknownFields();  // removes the checksum field
  EXPECT_EQ(net.ShortDebugString(),
            "layer { name: \"c\" type: \"Convolution\" blobs { data: 1.5 data: 2.5 shape { dim: 1 "
            "dim: 1 dim: 1 dim: 2 } } blobs { data: 1.5 shape { dim: 1 } } }");
}

TEST_F(Upgrade, WritesTheLayersOfOnePhase) {
  const std::string in =
      folder.write("in",
                   "layer { name: 'd' type: 'Input' top: 'x' include { phase: TRAIN } }\n"
                   "layer { name: 't' type: 'Input' top: 'x' include { phase: TEST } }\n"
                   "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'x' }");
  ASSERT_EQ(run_doppio({"upgrade", in, folder / "out", "--phase=TEST"}).exit_code, 0);
  NetParameter net;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(read_file(folder / "out"), &net));
  EXPECT_EQ(net.ShortDebugString(),
            "layer { name: \"t\" type: \"Input\" top: \"x\" } layer { name: \"r\" type: \"ReLU\" "
            "bottom: \"x\" top: \"x\" }");
}

TEST_F(Upgrade, RefusesWhatItCannotRead) {
  EXPECT_TRUE(contains(refusal("layer { typ: 'ReLU' }"),
                       "LayerParameter has no field 'typ'; did you mean"));
  EXPECT_TRUE(contains(refusal("base_lr: 1 max_itr: 3"), "did you mean 'max_iter'"));
  EXPECT_TRUE(contains(refusal("base_lr: 1 type: 'SGD' solver_type: SGD"),
                       "solver_type is the older form of type"));
  EXPECT_TRUE(contains(refusal(std::string("\x01\x02\x03")), "neither a text nor a binary net"));
  NetParameter net;
  net.add_layer()->set_name("c");
  net.mutable_layer(0)->add_blobs()->set_num(3);
  net.mutable_layer(0)->mutable_blobs(0)->add_data(1);
  EXPECT_TRUE(contains(refusal(net.SerializeAsString()), "layer 'c', blob 0 holds 1 values where"));
  const Outcome gone = run_doppio({"upgrade", folder / "gone", folder / "out"});
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_TRUE(contains(gone.err, "cannot read " + (folder / "gone"))) << gone.err;
}

}  // namespace
}  // namespace doppio
