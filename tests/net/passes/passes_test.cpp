// The passes between a prototxt and a net: text in, text out.
#include "net/passes/passes.hpp"

#include "support/layer_harness.hpp"
#include "support/log_lines.hpp"

namespace doppio {
namespace {

NetState state(Phase phase, int level = 0, std::vector<std::string> stages = {}) {
  NetState s;
  s.set_phase(phase);
  s.set_level(level);
  for (const std::string& stage : stages) s.add_stage(stage);
  return s;
}

SourcedNet parse(const std::string& text) { return parse_prototxt(text, "n"); }

/// "name:type(bottoms->tops)" of every layer, a line each.
std::string outline(const NetParameter& net) {
  std::string s;
  for (const LayerParameter& l : net.layer()) {
    s += l.name() + ":" + l.type() + "(";
    for (const std::string& b : l.bottom()) s += b + " ";
    s += "->";
    for (const std::string& t : l.top()) s += " " + t;
    s += ")\n";
  }
  return s;
}

std::string kept(const std::string& rules, const NetState& s) {
  return outline(filter(parse("layer { name: 'a' type: 'X' " + rules + " }"), s).net);
}

TEST(Filter, FollowsPhaseLevelAndStage) {
  const std::string yes = "a:X(->)\n";
  EXPECT_EQ(kept("", state(TRAIN)), yes);
  EXPECT_EQ(kept("include { phase: TRAIN }", state(TRAIN)), yes);
  EXPECT_EQ(kept("include { phase: TRAIN }", state(TEST)), "");
  EXPECT_EQ(kept("exclude { phase: TRAIN }", state(TRAIN)), "");
  EXPECT_EQ(kept("exclude { phase: TRAIN }", state(TEST)), yes);
  EXPECT_EQ(kept("include { min_level: 1 max_level: 2 }", state(TRAIN, 0)), "");
  EXPECT_EQ(kept("include { min_level: 1 max_level: 2 }", state(TRAIN, 2)), yes);
  EXPECT_EQ(kept("include { min_level: 1 max_level: 2 }", state(TRAIN, 3)), "");
  EXPECT_EQ(kept("include { stage: 'x' stage: 'y' }", state(TRAIN, 0, {"x"})), "");
  EXPECT_EQ(kept("include { stage: 'x' stage: 'y' }", state(TRAIN, 0, {"y", "x"})), yes);
  EXPECT_EQ(kept("include { not_stage: 'x' }", state(TRAIN, 0, {"x"})), "");
  EXPECT_EQ(kept("include { stage: 'x' } include { phase: TEST }", state(TEST)), yes);
}

TEST(Filter, GivesEveryLayerThePhaseAndKeepsItsLine) {
  const SourcedNet out = filter(parse("layer { name: 'a' type: 'X' exclude { phase: TEST } }\n"
                                      "layer { name: 'b' type: 'X' }"),
                                state(TEST));
  ASSERT_EQ(out.net.layer_size(), 1);
  EXPECT_EQ(out.net.layer(0).phase(), TEST);
  EXPECT_EQ(out.where(0).text(), "n:2:1");
}

TEST(Filter, GivesLayersTheComputeTypeOfTheNet) {
  const auto types = [](const std::string& net) {
    const NetParameter p =
        filter(parse(net + "layer { name: 'a' type: 'X' }\n"
                           "layer { name: 'b' type: 'X' compute_type: FLOAT32 }"),
               state(TEST))
            .net;
    return std::vector<ComputeType>{p.layer(0).compute_type(), p.layer(1).compute_type()};
  };
  EXPECT_EQ(types(""), (std::vector<ComputeType>{FLOAT32, FLOAT32}));
  EXPECT_EQ(types("compute_type: BFLOAT16 "), (std::vector<ComputeType>{BFLOAT16, FLOAT32}));
}

TEST(Filter, RefusesBothIncludeAndExclude) {
  EXPECT_EQ(error_of([] { kept("\n include { } exclude { }", state(TRAIN)); }),
            "n:2:14: error: layer 'a' has both include and exclude; use one");
}

TEST(InsertSplits, OnePerBlobThatIsReadMoreThanOnce) {
  const SourcedNet out =
      insert_splits(parse("layer { name: 'in' type: 'Input' top: 'x' top: 'y' }\n"
                          "layer { name: 'a' type: 'A' bottom: 'x' top: 'a' }\n"
                          "layer { name: 'b' type: 'B' bottom: 'x' bottom: 'y' top: 'b' }"));
  EXPECT_EQ(outline(out.net),
            "in:Input(-> x y)\n"
            "x_in_0_split:Split(x -> x_in_0_split_0 x_in_0_split_1)\n"
            "a:A(x_in_0_split_0 -> a)\n"
            "b:B(x_in_0_split_1 y -> b)\n");
  EXPECT_EQ(out.where(1).text(), "n:1:1");  // a split stands where its producer does
}

TEST(InsertSplits, AnInPlaceLayerMakesANewVersion) {
  const SourcedNet out =
      insert_splits(parse("layer { name: 'in' type: 'Input' top: 'x' }"
                          "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'x' }"
                          "layer { name: 'a' type: 'A' bottom: 'x' top: 'a' }"
                          "layer { name: 'b' type: 'B' bottom: 'x' top: 'b' }"));
  EXPECT_EQ(outline(out.net),
            "in:Input(-> x)\n"
            "r:ReLU(x -> x)\n"
            "x_r_0_split:Split(x -> x_r_0_split_0 x_r_0_split_1)\n"
            "a:A(x_r_0_split_0 -> a)\n"
            "b:B(x_r_0_split_1 -> b)\n");
}

TEST(InsertSplits, ALossThatIsReadTooCountsOnce) {
  const SourcedNet out =
      insert_splits(parse("layer { name: 'l' type: 'L' top: 'l' loss_weight: 2 }"
                          "layer { name: 'a' type: 'A' bottom: 'l' top: 'a' }"));
  EXPECT_EQ(
      outline(out.net),
      "l:L(-> l)\nl_l_0_split:Split(l -> l_l_0_split_0 l_l_0_split_1)\na:A(l_l_0_split_1 -> a)\n");
  EXPECT_EQ(out.net.layer(0).loss_weight(0), 0);
  EXPECT_EQ(out.net.layer(1).loss_weight(0), 2);
  EXPECT_EQ(out.net.layer(1).loss_weight(1), 0);
}

Graph graph_of(const std::string& text) { return build_graph(parse(text), Device::cpu); }

TEST(BuildGraph, OutputsAreInAlphabeticalOrder) {
  const Graph g = graph_of(
      "layer { name: 'in' type: 'Input' top: 'z' top: 'b' top: 'a' }"
      "layer { name: 'r' type: 'ReLU' bottom: 'z' top: 'c' }");
  std::vector<std::string> names;
  for (const int b : g.outputs) names.push_back(g.blobs[static_cast<std::size_t>(b)]);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(g.inputs.size(), 3u);
}

TEST(BuildGraph, ReportsAllProblemsTogether) {
  EXPECT_EQ(
      error_of([] {
        graph_of(
            "layer { name: 'in' type: 'Input' top: 'data' }\n"
            "layer { name: 'a' type: 'Relu' bottom: 'data' top: 'a' }\n"
            "layer { name: 'b' type: 'ReLU' bottom: 'dta' top: 'b' }\n"
            "layer { name: 'b' type: 'ReLU' bottom: 'b' top: 'a' }\n"
            "layer { name: 'c' type: 'ReLU' top: 'c' }");
      }),
      "n:2:19: error: layer 'a' (Relu): unknown layer type 'Relu'; did you mean 'ReLU'?; "
      "`doppio layers` "
      "lists the known types\n"
      "n:3:32: error: layer 'b' (ReLU): unknown bottom 'dta'; did you mean 'data'?\n"
      "n:4:44: error: layer 'b' (ReLU): layer 'a' (n:2:1) already makes a blob 'a'; give this "
      "top another name\n"
      "n:5:1: error: layer 'c' (ReLU): takes exactly 1 bottom, has 0");
}

TEST(BuildGraph, WarnsOfLayersOfOneName) {
  Lines log;
  EXPECT_EQ(graph_of("layer { name: 'in' type: 'Input' top: 'x' }\n"
                     "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'a' }\n"
                     "layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'b' }")
                .layers.size(),
            3u);
  EXPECT_EQ(log.all(),
            "n:3:9: the layer at n:2:9 is called 'r' as well; both draw the same random numbers\n");
}

std::string graph_error(const std::string& text) {
  return error_of([&] { build_graph(insert_splits(parse(text)), Device::cpu); });
}

TEST(BuildGraph, ALayerThatCannotWorkInPlaceIsTheOnlyMistake) {
  EXPECT_EQ(graph_error("layer { name: 'd' type: 'Input' top: 'a' top: 'b' }\n"
                        "layer { name: 'e' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'a' }\n"
                        "layer { name: 's' type: 'Softmax' bottom: 'a' top: 'p' }"),
            "n:2:59: error: layer 'e' (Eltwise): cannot work in place; give the top another name "
            "than 'a'");
}

TEST(BuildGraph, NamesTheOtherReaderOfABlobThatALayerChangesInPlace) {
  EXPECT_EQ(
      graph_error("layer { name: 'd' type: 'Input' top: 'x' }\n"
                  "layer { name: 'a' type: 'Sigmoid' bottom: 'x' top: 'y' }\n"
                  "layer { name: 'b' type: 'TanH' bottom: 'y' top: 'z' }\n"
                  "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }\n"
                  "layer { name: 'l' type: 'EuclideanLoss' bottom: 'y' bottom: 'z' }"),
      "n:4:44: error: layer 'r' (ReLU): cannot work in place, since layer 'b' (n:3:1) reads it "
      "too; give the top another name than 'y'");
  EXPECT_EQ(graph_error("layer { name: 'd' type: 'Input' top: 'x' }\n"
                        "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'x' }\n"
                        "layer { name: 'b' type: 'TanH' bottom: 'x' top: 'x' loss_weight: 1 }\n"
                        "layer { name: 's' type: 'ReLU' bottom: 'x' top: 'x' }"),
            "n:4:44: error: layer 's' (ReLU): cannot work in place, since the loss reads it too; "
            "give the top another name than 'x'");
}

TEST(BuildGraph, ReportsABottomThatNobodyMakesOnce) {
  EXPECT_EQ(graph_error("layer { name: 'a' type: 'ReLU' bottom: 'q' top: 'a' }\n"
                        "layer { name: 'b' type: 'ReLU' bottom: 'q' top: 'b' }\n"
                        "layer { name: 'c' type: 'ReLU' bottom: 'q' top: 'q' }"),
            "n:1:32: error: layer 'a' (ReLU): unknown bottom 'q'; layer 'c' (n:3:1), which makes "
            "it, must come before the layers that read it");
  EXPECT_EQ(graph_error("layer { name: 'in' type: 'Input' top: 'y' }\n"
                        "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }\n"
                        "layer { name: 'b' type: 'ReLU' bottom: 'x' top: 'b' }"),
            "n:2:32: error: layer 'a' (ReLU): unknown bottom 'x'; a blob must be the top of an "
            "earlier layer of the same phase");
}

TEST(BuildGraph, SaysThatABottomIsMadeInTheOtherPhase) {
  const std::string text =
      "layer { name: 'd' type: 'Input' top: 'x' include { phase: TRAIN } }\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }";
  NetState state;
  state.set_phase(TEST);
  SourcedNet net = filter(parse_prototxt(text, "n"), state);
  *net.net.mutable_state() = state;
  try {
    build_graph(net, Device::cpu);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const PhaseError& e) {
    EXPECT_STREQ(e.what(),
                 "n:2:32: error: layer 'r' (ReLU): unknown bottom 'x'; layer 'd' (n:1:1), which "
                 "makes it, is not in the net for phase TEST");
  }
}

TEST(BuildGraph, LayersInPythonSayWhatReplacesThem) {
  EXPECT_EQ(graph_error("layer { name: 'p' type: 'Python' python_param { module: "
                        "'rpn.proposal_layer' } }"),
            "n:1:19: error: layer 'p' (Python): layers written in Python are not run; Proposal "
            "replaces rpn.proposal_layer");
  EXPECT_EQ(
      graph_error("layer { name: 'p' type: 'Python' bottom: 'x' python_param { } }").substr(0, 71),
      "n:1:19: error: layer 'p' (Python): layers written in Python are not run");
}

TEST(BuildGraph, EscapesWhatNamesHold) {
  EXPECT_EQ(
      graph_error("layer { name: 'a\\nb' type: 'ReLU\\x1b' }"),
      "n:1:22: error: layer 'a\\nb' (ReLU\\x1b): unknown layer type 'ReLU\\x1b'; did you mean "
      "'ReLU' or 'ReLU6'?; `doppio layers` lists the known types");
}

TEST(BuildGraph, ChecksPropagateDownAndLossWeight) {
  const std::string message = error_of([] {
    graph_of(
        "layer { name: 'in' type: 'Input' top: 'x' }"
        "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' propagate_down: true propagate_down: "
        "true "
        "loss_weight: 1 loss_weight: 2 }");
  });
  EXPECT_NE(message.find("propagate_down must be given once per bottom (1)"), std::string::npos);
  EXPECT_NE(message.find("loss_weight must be given once per top (1)"), std::string::npos);
}

GradientNeeds needs_of(const std::string& text, const std::vector<bool>& learns) {
  const SourcedNet source = parse(text);
  return gradient_needs(source, build_graph(source, Device::cpu), learns);
}

TEST(GradientNeeds, NothingBelowTheFirstLearnerAndNothingWithoutALoss) {
  const std::string chain =
      "layer { name: 'in' type: 'Input' top: 'x' }"
      "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }"
      "layer { name: 'b' type: 'ReLU' bottom: 'a' top: 'b' }"
      "layer { name: 'c' type: 'ReLU' bottom: 'b' top: 'c' %s }";
  const auto with = [&](const std::string& loss) {
    std::string s = chain;
    return s.replace(s.find("%s"), 2, loss);
  };
  GradientNeeds n = needs_of(with("loss_weight: 1"), {false, true, false, false});
  EXPECT_EQ(n.layers, (std::vector<bool>{false, true, true, true}));
  EXPECT_FALSE(n.bottoms[1][0]);
  EXPECT_TRUE(n.bottoms[2][0]);
  n = needs_of(with(""), {false, true, false, false});
  EXPECT_EQ(n.layers, (std::vector<bool>{false, false, false, false}));
  n = needs_of(with("loss_weight: 1 propagate_down: false"), {false, true, false, false});
  EXPECT_EQ(n.layers, (std::vector<bool>{false, false, false, true}));
  n = needs_of("force_backward: true " + with(""), {false, false, false, false});
  EXPECT_EQ(n.layers, (std::vector<bool>{true, true, true, true}));
  EXPECT_TRUE(n.bottoms[1][0]);
}

SourcedNet on_an_input(const std::string& text) {
  return insert_splits(
      parse("layer { name: 'd' type: 'Input' top: 'd' "
            "input_param { shape { dim: [1, 2, 3, 3] } } }" +
            text));
}

std::vector<int> fused(const std::string& text) {
  const SourcedNet source = on_an_input(text);
  return relus_to_fuse(source, build_graph(source, Device::cpu));
}

TEST(Fuse, BatchNormTakesTheScaleThatIsNextAndTheReluBehindIt) {
  const auto scales = [](const std::string& text) {
    const SourcedNet source = on_an_input(text);
    return scales_to_fuse(source, build_graph(source, Device::cpu));
  };
  const auto scale = [](const std::string& param) {
    return "layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' scale_param { " + param + " } }";
  };
  const std::string conv = "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' }";
  const std::string norm = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'c' }";
  const std::string relu = "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }";
  const std::string biased = scale("bias_term: true");
  EXPECT_EQ(scales(conv + norm + biased + relu), (std::vector<int>{-1, -1, 3, -1, -1}));
  EXPECT_EQ(fused(conv + norm + biased + relu), (std::vector<int>{-1, -1, 4, -1, -1}));
  EXPECT_EQ(fused(conv + norm + relu)[2], 3) << "for the layer before, if that takes both";
  EXPECT_EQ(scales(conv + norm + scale(""))[2], -1) << "no bias";
  EXPECT_EQ(scales(conv + norm + scale("axis: 2 bias_term: true"))[2], -1) << "other channels";
  EXPECT_EQ(scales(conv + norm + relu + biased)[2], -1) << "not the next";
}

TEST(Fuse, AConvolutionTakesTheBatchNormThatIsNext) {
  const auto norms = [](const std::string& text) {
    const SourcedNet source = on_an_input(text);
    return norms_to_fuse(source, build_graph(source, Device::cpu));
  };
  const std::string conv = "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' }";
  const std::string norm = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'c' }";
  const std::string beside = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'n' }";
  const std::string relu = "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }";
  EXPECT_EQ(norms(conv + norm + relu), (std::vector<int>{-1, 2, -1, -1}));
  EXPECT_EQ(norms(conv + beside), (std::vector<int>{-1, 2, -1}));
  EXPECT_EQ(norms(conv + relu + norm)[1], -1) << "not the next";
  EXPECT_EQ(norms(conv + beside + "layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p' }"),
            (std::vector<int>{-1, -1, -1, -1, -1}))
      << "c is split";
}

TEST(Fuse, AConvolutionTakesTheSumBehindIt) {
  const auto sums = [](const std::string& text) {
    const SourcedNet source = on_an_input(text);
    return sums_to_fuse(source, build_graph(source, Device::cpu));
  };
  const auto sum = [](const std::string& param) {
    return "layer { name: 'e' type: 'Eltwise' bottom: 'b' bottom: 'c' top: 'e' eltwise_param { " +
           param + " } }";
  };
  const std::string other = "layer { name: 'b' type: 'Convolution' bottom: 'd' top: 'b' }";
  const std::string conv = "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' }";
  const std::string norm = "layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'c' }";
  const std::string scale =
      "layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' scale_param { bias_term: true } }";
  const std::string relu = "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }";
  // Layer 1 splits d.
  EXPECT_EQ(sums(other + conv + sum("")), (std::vector<int>{-1, -1, -1, 4, -1}));
  EXPECT_EQ(sums(other + conv + norm + scale + sum("coeff: 1 coeff: 1"))[3], 6);
  EXPECT_EQ(sums(other + conv + relu + sum(""))[3], -1) << "a ReLU between";
  EXPECT_EQ(sums(conv + other + sum(""))[2], -1) << "the other branch comes later";
  EXPECT_EQ(sums(conv + other + sum(""))[3], 4);
  EXPECT_EQ(sums(other + conv + sum("coeff: 1 coeff: -1"))[3], -1);
  EXPECT_EQ(sums(other + conv + sum("operation: MAX"))[3], -1);
}

TEST(Fuse, TakesTheInPlaceReluThatIsNext) {
  const std::string conv = "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' }";
  const std::string relu = "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }";
  EXPECT_EQ(fused(conv + relu), (std::vector<int>{-1, 2, -1}));
  const std::string pool = "layer { name: 'p' type: 'Pooling' bottom: 'd' top: 'p' }";
  EXPECT_EQ(fused(conv + pool + relu)[2], 4) << "d is split, the layers between look elsewhere";
  EXPECT_EQ(fused(conv + "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'r' }")[1], -1)
      << "not in place";
  EXPECT_EQ(fused(conv + "layer { name: 's' type: 'Sigmoid' bottom: 'c' top: 'c' }" + relu)[1], -1)
      << "not the next";
  EXPECT_EQ(fused(conv + "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' "
                         "relu_param { negative_slope: 0.1 } }")[1],
            -1)
      << "leaky";
}

}  // namespace
}  // namespace doppio
