#include "tools/overrides.hpp"

#include "net/format/read_prototxt.hpp"
#include "net/passes/passes.hpp"
#include "support/expect_error.hpp"

namespace doppio {
namespace {

constexpr const char* kNet = R"(
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mirror: true } data_param { source: "a" batch_size: 64 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { source: "b" batch_size: 100 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 4 kernel_size: 3 kernel_size: 5
                            weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
)";

NetState state_of(Phase phase) {
  NetState state;
  state.set_phase(phase);
  return state;
}

/// Returns the net for `phase` after the changes.
SourcedNet changed(const std::vector<std::string>& sets, Phase phase = TRAIN) {
  Overrides overrides(sets);
  return overrides.apply(parse_prototxt(kNet, "net.prototxt"), state_of(phase));
}

std::string refusal(const std::string& set) {
  return error_of([&] {
    Overrides overrides({set});
    overrides.apply(parse_prototxt(kNet, "net.prototxt"), state_of(TRAIN));
    overrides.require_all_used();
  });
}

TEST(Overrides, FindsAFieldInTheMessagesOfItsLayer) {
  const SourcedNet net =
      changed({"data.batch_size=2", "data.source=/tmp/x y", "conv1.engine=CAFFE"});
  ASSERT_EQ(net.net.layer_size(), 3);
  EXPECT_EQ(net.net.layer(0).data_param().batch_size(), 2u);
  EXPECT_EQ(net.net.layer(0).data_param().source(0), "/tmp/x y");
  EXPECT_EQ(net.net.layer(1).convolution_param().engine(), ConvolutionParameter::CAFFE);
}

TEST(Overrides, SplitTheNetOverSeveralDevices) {
  Overrides overrides({"model_parallel.layer_from=conv1", "model_parallel.layer_to=relu1",
                       "model_parallel.model_parts=2"});
  SolverParameter solver;
  FieldLocations fields;
  overrides.apply(solver, fields);
  const SourcedNet net = overrides.apply(parse_prototxt(kNet, "net.prototxt"), state_of(TRAIN));
  overrides.require_all_used();
  EXPECT_EQ(net.net.model_parallel().ShortDebugString(),
            "layer_from: \"conv1\" layer_to: \"relu1\" model_parts: 2");
  EXPECT_EQ(net.fields.find("model_parallel.layer_to").text(),
            "--set model_parallel.layer_to=relu1");
}

TEST(Overrides, ChangesFieldsThatNetsAloneHave) {
  Overrides overrides({"compute_type=BFLOAT16", "test:force_backward=true", "debug_info=true"});
  SolverParameter solver;
  FieldLocations fields;
  overrides.apply(solver, fields);
  EXPECT_TRUE(solver.debug_info());
  const auto net_of = [&](Phase phase) {
    return overrides.apply(parse_prototxt(kNet, "net.prototxt"), state_of(phase)).net;
  };
  const NetParameter train = net_of(TRAIN), test = net_of(TEST);
  overrides.require_all_used();
  EXPECT_EQ(train.layer(1).compute_type(), BFLOAT16);
  EXPECT_FALSE(train.force_backward());
  EXPECT_TRUE(test.force_backward());
  EXPECT_NE(refusal("compute_type=FLOAT8").find("one of FLOAT32, BFLOAT16"), std::string::npos);
}

TEST(Overrides, TakesAFullPath) {
  const SourcedNet net = changed({"conv1.convolution_param.weight_filler.std=0.5",
                                  "relu1.relu_param.negative_slope=.1", "conv1.param.lr_mult=0",
                                  "conv1.param[1].decay_mult=3", "conv1.type=Deconvolution"});
  const LayerParameter& conv = net.net.layer(1);
  EXPECT_EQ(conv.convolution_param().weight_filler().std(), 0.5f);
  EXPECT_EQ(conv.convolution_param().weight_filler().type(), "xavier");
  EXPECT_EQ(net.net.layer(2).relu_param().negative_slope(), 0.1f);
  EXPECT_EQ(conv.param(0).lr_mult(), 0);
  EXPECT_EQ(conv.param(1).lr_mult(), 0);
  EXPECT_EQ(conv.param(0).decay_mult(), 1);
  EXPECT_EQ(conv.param(1).decay_mult(), 3);
  EXPECT_EQ(conv.type(), "Deconvolution");
}

TEST(Overrides, PrefersTheFieldThatCountsAmongSeveral) {
  const SourcedNet net = changed({"data.mirror=false", "data.scale=2"});
  EXPECT_FALSE(net.net.layer(0).transform_param().mirror());
  EXPECT_EQ(net.net.layer(0).transform_param().scale(), 2);
  EXPECT_FALSE(net.net.layer(0).data_param().has_scale());
}

TEST(Overrides, ReplacesRepeatedFields) {
  const SourcedNet net = changed({"conv1.kernel_size=7", "conv1.stride=1,2"});
  const ConvolutionParameter& p = net.net.layer(1).convolution_param();
  EXPECT_EQ(p.kernel_size_size(), 1);
  EXPECT_EQ(p.kernel_size(0), 7u);
  EXPECT_EQ(p.stride_size(), 2);
  EXPECT_EQ(p.stride(1), 2u);
}

TEST(Overrides, SetsAListByOneArgument) {
  const auto sources = [](const SourcedNet& net) {
    const auto& field = net.net.layer(0).data_param().source();
    return std::vector<std::string>(field.begin(), field.end());
  };
  const SourcedNet net = changed({"data.source=c,d"});
  EXPECT_EQ(sources(net), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(net.where(0, "data_param.source[1]").text(), "--set data.source=c,d");
  EXPECT_EQ(sources(changed({"data.source=c", "train:data.source=d"})),
            (std::vector<std::string>{"d"}));
  EXPECT_EQ(error_of([] {
              changed({"data.source=c", "data.data_param.source=d"});
            }),
            "--set data.data_param.source=d: error: it would replace '--set data.source=c'; give "
            "the values of a list in one --set, with commas between them");
  EXPECT_EQ(
      changed({"data.batch_size=1", "data.batch_size=2"}).net.layer(0).data_param().batch_size(),
      2u);
}

TEST(Overrides, APrefixLimitsThemToAPhase) {
  const std::vector<std::string> sets = {"train:data.batch_size=1", "test:data.batch_size=2"};
  EXPECT_EQ(changed(sets, TRAIN).net.layer(0).data_param().batch_size(), 1u);
  EXPECT_EQ(changed(sets, TEST).net.layer(0).data_param().batch_size(), 2u);
  EXPECT_EQ(changed({"data.batch_size=3"}, TEST).net.layer(0).data_param().batch_size(), 3u);
}

TEST(Overrides, ErrorsOfTheLayerNameTheSet) {
  const SourcedNet net = changed({"conv1.kernel_size=99"});
  EXPECT_EQ(net.where(1, "convolution_param.kernel_size[0]").text(), "--set conv1.kernel_size=99");
  EXPECT_EQ(net.where(1, "convolution_param.num_output").text(), "net.prototxt:8:29");
}

TEST(Overrides, RefusesWhatItCannotFind) {
  EXPECT_EQ(
      refusal("conv1.kernelsize=3"),
      "--set conv1.kernelsize=3: error: layer 'conv1' (Convolution) has no field 'kernelsize' "
      "in the messages that are written there; did you mean 'kernel_size'?");
  EXPECT_EQ(refusal("relu1.negative_slope=3"),
            "--set relu1.negative_slope=3: error: layer 'relu1' (ReLU) has no field "
            "'negative_slope' in the messages that are written there; give its full path, such as "
            "relu_param.negative_slope");
  EXPECT_EQ(refusal("cnov1.stride=1"),
            "--set cnov1.stride=1: error: no net that is built has a layer 'cnov1'; did you mean "
            "'conv1'?");
  EXPECT_EQ(refusal("test:conv1.stride=1"),
            "--set test:conv1.stride=1: error: no net that is built for TEST has a layer 'conv1'");
  EXPECT_EQ(refusal("base_lr=1"),
            "--set base_lr=1: error: there is no solver to change; write LAYER.FIELD=VALUE");
  EXPECT_EQ(refusal("conv1.param[2].lr_mult=1"),
            "--set conv1.param[2].lr_mult=1: error: there is no 'param[2]': param is written 2 "
            "times");
  EXPECT_EQ(refusal("conv1.param[x].lr_mult=1"),
            "--set conv1.param[x].lr_mult=1: error: 'param[x]' is not a field; write an index as "
            "in param[0]");
  EXPECT_EQ(refusal("conv1.name.length=1"),
            "--set conv1.name.length=1: error: 'name' is a value and has no fields");
  EXPECT_EQ(refusal("conv1.convolution_param[0].stride=1"),
            "--set conv1.convolution_param[0].stride=1: error: 'convolution_param' has no index");
  EXPECT_EQ(refusal("conv1.kernel_size[0]=1"),
            "--set conv1.kernel_size[0]=1: error: give 'kernel_size' as a whole, with commas "
            "between its values");
}

TEST(Overrides, RefusesValuesOfAnotherType) {
  EXPECT_EQ(refusal("conv1.engine=FAST"),
            "--set conv1.engine=FAST: error: 'FAST' is not a value of engine, which takes one of "
            "DEFAULT, CAFFE, CUDNN, MKL2017, MKLDNN, WINOGRAD, ONEDNN, GEMM");
  EXPECT_EQ(refusal("data.batch_size=-1"),
            "--set data.batch_size=-1: error: '-1' is not a value of batch_size, which takes an "
            "integer of at least 0");
  EXPECT_EQ(refusal("data.batch_size=12x"),
            "--set data.batch_size=12x: error: '12x' is not a value of batch_size, which takes "
            "an integer of at least 0");
  EXPECT_EQ(refusal("conv1.weight_filler=xavier"),
            "--set conv1.weight_filler=xavier: error: 'xavier' is not a value of weight_filler, "
            "which takes { fields of FillerParameter }");
}

TEST(Overrides, ChangesASolver) {
  SolverParameter solver;
  FieldLocations fields =
      parse_text("base_lr: 1 stepvalue: 5 stepvalue: 6 test_state { level: 1 }", "s", solver);
  Overrides overrides({"base_lr=1e-3", "stepvalue=10,20", "type=Adam", "solver_mode=CPU",
                       "train_state.level=2", "train_state.stage=a,b", "test_state={level:3}"});
  overrides.apply(solver, fields);
  overrides.require_all_used();
  EXPECT_EQ(solver.base_lr(), 1e-3f);
  ASSERT_EQ(solver.stepvalue_size(), 2);
  EXPECT_EQ(solver.stepvalue(1), 20);
  EXPECT_EQ(solver.type(), "Adam");
  EXPECT_TRUE(solver.has_solver_mode());
  EXPECT_EQ(solver.train_state().level(), 2);
  EXPECT_EQ(solver.train_state().stage_size(), 2);
  ASSERT_EQ(solver.test_state_size(), 1);
  EXPECT_EQ(solver.test_state(0).level(), 3);
  EXPECT_EQ(fields.find("base_lr").text(), "--set base_lr=1e-3");
}

TEST(Overrides, RefusesUnknownFieldsOfASolver) {
  SolverParameter solver;
  FieldLocations fields;
  Overrides overrides({"base_rl=1"});
  EXPECT_EQ(error_of([&] { overrides.apply(solver, fields); }),
            "--set base_rl=1: error: SolverParameter has no field 'base_rl'; did you mean "
            "'base_lr'?");
}

TEST(Overrides, LeavesFieldsOfLayersToTheNets) {
  SolverParameter solver;
  FieldLocations fields;
  Overrides overrides({"data.batch_size=1"});
  overrides.apply(solver, fields);
  EXPECT_FALSE(error_of([&] { overrides.require_all_used(); }).empty());
  overrides.apply(parse_prototxt(kNet, "net.prototxt"), state_of(TEST));
  overrides.require_all_used();
}

}  // namespace
}  // namespace doppio
