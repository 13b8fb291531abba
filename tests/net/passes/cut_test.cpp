#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

NetState train_state() {
  NetState state;
  state.set_phase(TRAIN);
  return state;
}

SourcedNet with_range(SourcedNet net, const std::string& from, const std::string& to) {
  net.net.mutable_model_parallel()->set_layer_from(from);
  net.net.mutable_model_parallel()->set_layer_to(to);
  return net;
}

/// Returns a line per layer: bottoms, layer, tops, and for layers with slices num_output and group.
std::string outline(const SourcedNet& net) {
  EXPECT_EQ(net.layers.size(), static_cast<std::size_t>(net.net.layer_size()));
  std::string s;
  for (const LayerParameter& l : net.net.layer()) {
    for (const std::string& b : l.bottom()) s += b + " ";
    s += "> " + (l.type().starts_with("Part") ? l.type() : l.name());
    for (const std::string& t : l.top()) s += " > " + t;
    if (l.has_model_part()) s += str(" | part ", l.model_part().index());
    if (l.has_model_part() && l.type() == "Convolution")
      s += str(", ", l.convolution_param().num_output(), " in ", l.convolution_param().group());
    if (l.has_model_part() && l.type() == "InnerProduct")
      s += str(", ", l.inner_product_param().num_output());
    if (l.has_model_part() && l.type() == "LRN") s += str(", in ", l.lrn_param().group());
    s += '\n';
  }
  return s;
}

std::string cut_outline(const std::string& text, const std::string& from, const std::string& to,
                        int parts = 2) {
  return outline(cut(with_range(parse_prototxt(text, "n"), from, to), {1, parts}));
}

TEST(CutPass, SplitsAlexNetAsItsPaperDoes) {
  const SourcedNet paper =
      filter(read_prototxt("models/alexnet_paper/train_val.prototxt"), train_state());
  EXPECT_EQ(outline(cut(with_range(paper, "conv1", "fc8"), {1, 2})),
            "> data > data > label\n"
            "data > conv1 > conv1 | part 1, 48 in 1\n"
            "conv1 > relu1 > conv1 | part 1\n"
            "conv1 > norm1 > norm1 | part 1, in 1\n"
            "norm1 > pool1 > pool1 | part 1\n"
            "pool1 > conv2 > conv2 | part 1, 128 in 1\n"
            "conv2 > relu2 > conv2 | part 1\n"
            "conv2 > norm2 > norm2 | part 1, in 1\n"
            "norm2 > pool2 > pool2 | part 1\n"
            "pool2 > PartGatherCopies > pool2_pool2_gather_copies\n"
            "pool2_pool2_gather_copies > conv3 > conv3 | part 1, 192 in 1\n"
            "conv3 > relu3 > conv3 | part 1\n"
            "conv3 > conv4 > conv4 | part 1, 192 in 1\n"
            "conv4 > relu4 > conv4 | part 1\n"
            "conv4 > conv5 > conv5 | part 1, 128 in 1\n"
            "conv5 > relu5 > conv5 | part 1\n"
            "conv5 > pool5 > pool5 | part 1\n"
            "pool5 > PartGatherCopies > pool5_pool5_gather_copies\n"
            "pool5_pool5_gather_copies > fc6 > fc6 | part 1, 2048\n"
            "fc6 > relu6 > fc6 | part 1\n"
            "fc6 > drop6 > fc6 | part 1\n"
            "fc6 > PartGatherCopies > fc6_drop6_gather_copies\n"
            "fc6_drop6_gather_copies > fc7 > fc7 | part 1, 2048\n"
            "fc7 > relu7 > fc7 | part 1\n"
            "fc7 > drop7 > fc7 | part 1\n"
            "fc7 > PartGatherCopies > fc7_drop7_gather_copies\n"
            "fc7_drop7_gather_copies > fc8 > fc8 | part 1, 500\n"
            "fc8 > PartGather > fc8_fc8_gather\n"
            "fc8_fc8_gather label > loss > loss\n");
}

TEST(CutPass, SplitsFullyConnectedLayersOnly) {
  const SourcedNet paper =
      filter(read_prototxt("models/alexnet_paper/train_val.prototxt"), train_state());
  const std::string text = outline(cut(with_range(paper, "fc6", "fc8"), {0, 4}));
  EXPECT_NE(text.find("conv5 > pool5 > pool5\n"
                      "pool5 > PartCopies > pool5_pool5_copies\n"
                      "pool5_pool5_copies > fc6 > fc6 | part 0, 1024\n"),
            std::string::npos)
      << text;
}

TEST(CutPass, LeavesANetWithoutRangeOrWithOnePartAsItIs) {
  const SourcedNet net = parse_prototxt(
      "layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' "
      "inner_product_param { num_output: 3 } }",
      "n");
  EXPECT_EQ(outline(cut(net, {0, 2})), "x > ip > y\n");
  EXPECT_EQ(outline(cut(with_range(net, "ip", "ip"), {0, 1})), "x > ip > y\n");
}

// Layers `a` and `b` make slices.
const std::string kSlices =
    "layer { name: 'i' type: 'Input' top: 'x' top: 'l' }\n"
    "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' "
    "inner_product_param { num_output: 4 } }\n"
    "layer { name: 'b' type: 'InnerProduct' bottom: 'x' top: 'b' "
    "inner_product_param { num_output: 4 } }\n";
const std::string kSlicesOutline =
    "> i > x > l\n"
    "x > a > a | part 1, 2\n"
    "x > b > b | part 1, 2\n";

TEST(CutPass, GathersTwiceForASplitAndAWholeReader) {
  EXPECT_EQ(
      cut_outline(kSlices + "layer { name: 'c' type: 'InnerProduct' bottom: 'a' top: 'c' "
                            "inner_product_param { num_output: 6 } }\n"
                            "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'a' bottom: 'l' "
                            "top: 'loss' }\n"
                            "layer { name: 'no' type: 'Silence' bottom: 'b' bottom: 'c' }",
                  "a", "no"),
      kSlicesOutline +
          "a > PartGatherCopies > a_a_gather_copies\n"
          "a_a_gather_copies > c > c | part 1, 3\n"
          "a > PartGather > a_a_gather\n"
          "a_a_gather l > loss > loss\n"
          "b c > no | part 1\n");
}

TEST(CutPass, GathersWhatOtherLayersRead) {
  EXPECT_EQ(
      cut_outline(kSlices + "layer { name: 'c' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'c' }"
                            "layer { name: 'd' type: 'Concat' bottom: 'a' bottom: 'c' top: 'd' }"
                            "layer { name: 'e' type: 'Eltwise' bottom: 'd' bottom: 'a' top: 'e' }"
                            "layer { name: 's' type: 'Silence' bottom: 'e' bottom: 'c' }",
                  "a", "s"),
      kSlicesOutline +
          "a b > c > c | part 1\n"
          "a > PartGather > a_a_gather\n"
          "c > PartGather > c_c_gather\n"
          "a_a_gather c_c_gather > d > d\n"
          "d a_a_gather > e > e\n"
          "e c_c_gather > s\n");
}

TEST(CutPass, LayersAfterTheRangeReadTheWholeAlsoInPlace) {
  EXPECT_EQ(cut_outline(kSlices + "layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'a' }"
                                  "layer { name: 't' type: 'TanH' bottom: 'a' top: 'a' }"
                                  "layer { name: 's' type: 'Silence' bottom: 'a' bottom: 'b' }",
                        "a", "r"),
            kSlicesOutline +
                "a > r > a | part 1\n"
                "a > PartGather > a_r_gather\n"
                "a_r_gather > t > a_r_gather\n"
                "b > PartGather > b_b_gather\n"
                "a_r_gather b_b_gather > s\n");
}

TEST(CutPass, OutputsAreWholeUnderTheirNames) {
  EXPECT_EQ(cut_outline(kSlices + "layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'a' }"
                                  "layer { name: 's' type: 'Softmax' bottom: 'b' top: 'b' }",
                        "a", "s"),
            "> i > x > l\n"
            "x > a > a_part | part 1, 2\n"
            "x > b > b_part | part 1, 2\n"
            "a_part > r > a_part | part 1\n"
            "b_part > PartGather > b\n"
            "b > s > b\n"
            "a_part > PartGather > a\n");
}

TEST(CutPass, ChannelsThatParametersMixAreGathered) {
  EXPECT_EQ(
      cut_outline(kSlices + "layer { name: 'p' type: 'PReLU' bottom: 'a' top: 'a' }"
                            "layer { name: 'q' type: 'PReLU' bottom: 'a' top: 'q' "
                            "prelu_param { channel_shared: true } }"
                            "layer { name: 'r' type: 'Scale' bottom: 'a' bottom: 'b' top: 'r' }"
                            "layer { name: 's' type: 'Silence' bottom: 'q' bottom: 'r' }",
                  "a", "s"),
      kSlicesOutline +
          "a > p > a | part 1\n"
          "a > PartGather > a_p_gather\n"
          "a_p_gather > q > q\n"
          "b > PartGather > b_b_gather\n"
          "a_p_gather b_b_gather > r > r\n"
          "q r > s\n");
}

TEST(CutPass, ForcedGradientsOfTheDataAreAddedUp) {
  const std::string text = cut_outline("force_backward: true " + kSlices, "a", "b");
  EXPECT_NE(text.find("x > PartCopies > x_i_copies\nx_i_copies > a > "), std::string::npos) << text;
}

TEST(CutPass, SaysWhichLayersCannotBeCut) {
  const std::string error = error_of([] {
    cut_outline(
        "layer { name: 'i' type: 'Input' top: 'x' }\n"
        "layer { name: 'odd' type: 'InnerProduct' bottom: 'x' top: 'odd'\n"
        "inner_product_param { num_output: 3 } }\n"
        "layer { name: 'early' type: 'Convolution' bottom: 'x' top: 'early'\n"
        "convolution_param { num_output: 4 kernel_size: 1\n"
        "group: 2 } }\n"
        "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'\n"
        "convolution_param { num_output: 12 kernel_size: 1 } }\n"
        "layer { name: 'three' type: 'Convolution' bottom: 'c' top: 'three'\n"
        "convolution_param { num_output: 12 kernel_size: 1\n"
        "group: 3 } }\n"
        "layer { name: 'norm' type: 'LRN' bottom: 'c' top: 'norm' }\n"
        "layer { name: 'loss' type: 'Power' bottom: 'c' top: 'loss'\n"
        "loss_weight: 1 }\n",
        "i", "loss");
  });
  for (const char* part :
       {"n:3:23: error: layer 'odd' (InnerProduct): num_output 3 cannot be divided among 2 devices "
        "(model_parallel)",
        "n:6:1: error: layer 'early' (Convolution): its groups cannot be divided among several "
        "devices, "
        "because each of them holds all of the bottom's channels; begin the range "
        "(model_parallel.layer_from) at an earlier layer without groups",
        "n:11:1: error: layer 'three' (Convolution): group 3 cannot be divided among 2 devices",
        "n:12:1: error: layer 'norm' (LRN): normalizes across channels of which each of 2 devices "
        "holds a "
        "part (model_parallel); lrn_param { group: 2 } normalizes each part apart",
        "n:14:1: error: layer 'loss' (Power): a top that is split over several devices cannot be a "
        "loss"})
    EXPECT_NE(error.find(part), std::string::npos) << part << "\nis not in\n" << error;
}

TEST(CutPass, SaysWhatIsWrongWithTheRange) {
  const auto error = [](const std::string& range) {
    return error_of([&] {
      outline(cut(parse_prototxt(kSlices + "model_parallel {\n" + range + " }", "n"), {0, 2}));
    });
  };
  EXPECT_EQ(error("layer_from: 'aa'\nlayer_to: 'b'"),
            "n:5:1: error: model_parallel: layer_from: this phase of the net has no layer 'aa'");
  EXPECT_EQ(error("layer_from: 'b'\nlayer_to: 'a'"),
            "n:6:1: error: model_parallel: layer_to 'a' comes before layer_from 'b'");
  EXPECT_EQ(error("layer_from: 'b'"),
            "n:4:1: error: model_parallel: layer_to is missing; name a layer");
}

}  // namespace
}  // namespace doppio
