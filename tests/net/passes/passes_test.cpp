// The passes between a prototxt and a net, tested on text.
#include "net/passes/passes.hpp"

#include "support/layer_harness.hpp"
#include "support/log_lines.hpp"

namespace doppio {
namespace {

NetState state(Phase phase, int level = 0, const std::vector<std::string>& stages = {}) {
  NetState s;
  s.set_phase(phase);
  s.set_level(level);
  for (const std::string& stage : stages) s.add_stage(stage);
  return s;
}

SourcedNet parse(const std::string& text) { return parse_prototxt(text, "n"); }

/// Returns "name:type(bottoms->tops)" of every layer, one per line.
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
  EXPECT_EQ(out.where(1).text(), "n:1:1");  // a split has its producer's location
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
            "n:3:9: the layer at n:2:9 is called 'r', too; both draw the same random numbers\n");
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
  *net.net.mutable_state() = std::move(state);
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

}  // namespace
}  // namespace doppio
