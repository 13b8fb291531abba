// Choice of implementations by `engine` in the prototxt and by Context::reference.
#include <gtest/gtest.h>

#include "core/cpu.hpp"
#include "doppio/net.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

/// A net after one pass in TEST. Its layers have several implementations and can be fused. `engine`
/// is set in all messages that have the field.
struct OnePass {
  explicit OnePass(const std::string& engine, bool reference = false) : ctx(7) {
    ctx.reference = reference;
    const std::string field = engine.empty() ? "" : " engine: " + engine;
    const std::string filler = " weight_filler { type: 'xavier' }";
    NetState state;
    state.set_phase(TEST);
    net = std::make_unique<Net>(
        ctx,
        parse_prototxt(
            "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [2, 3, 20, 21] } "
            "} } layer { name: 'a' type: 'Convolution' bottom: 'x' top: 'a' convolution_param { "
            "num_output: 32 kernel_size: 3 pad: 1" +
                filler + field +
                " } } layer { name: 'relu' type: 'ReLU' bottom: 'a' top: 'a' } layer { name: 'n' "
                "type: 'LRN' bottom: 'a' top: 'n' lrn_param {" +
                field +
                " } } layer { name: 'p' type: 'Pooling' bottom: 'n' top: 'p' pooling_param { "
                "kernel_size: 2 stride: 2" +
                field +
                " } } layer { name: 'b' type: 'Convolution' bottom: 'p' top: 'b' convolution_param "
                "{ num_output: 32 kernel_size: 3 group: 32" +
                filler + field +
                " } } layer { name: 'norm' type: 'BatchNorm' bottom: 'b' top: 'b' } layer { name: "
                "'q' type: 'Pooling' bottom: 'b' top: 'q' pooling_param { pool: AVE kernel_size: 3"
                " stride: 2" +
                field + " } }",
            "net.prototxt"),
        state);
    net->save_memory(Passes::forward);
    Tensor& norm = net->layer("norm").layer->params[1].data;
    set_values(norm, std::vector<float>(static_cast<std::size_t>(norm.count()), 0.5f));
    set_values(net->layer("norm").layer->params[2].data, {1});
    float* x = net->blob("x").data.write_host();
    for (Index i = 0; i < net->blob("x").count(); ++i)
      x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    net->forward();
    layout = net->blob("q").data.layout();
    y = values(net->blob("q").data);
  }

  std::vector<std::string> fused() const {
    std::vector<std::string> names;
    for (const NetLayer& l : net->layers())
      if (net->is_fused(l)) names.push_back(l.name);
    return names;
  }

  Context ctx;
  std::unique_ptr<Net> net;
  Layout layout = Layout::nchw;  // of the output
  std::vector<float> y;
};

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-4f) << i;
}

TEST(Engine, NamesInPublishedFilesLeaveTheChoiceFree) {
  const OnePass unnamed("");
  if (cpu_isa() != Isa::baseline) {
    EXPECT_EQ(unnamed.fused(), (std::vector<std::string>{"relu", "p", "norm"}));
    EXPECT_EQ(unnamed.layout, Layout::nchw_blocked);
  }

  for (const char* engine : {"DEFAULT", "CAFFE", "CUDNN", "MKL2017", "MKLDNN"}) {
    SCOPED_TRACE(engine);
    const OnePass run(engine);
    EXPECT_EQ(run.fused(), unnamed.fused());
    EXPECT_EQ(run.layout, unnamed.layout);
    EXPECT_EQ(run.y, unnamed.y);
  }
}

TEST(Engine, GemmIsTheReference) {
  const OnePass unnamed(""), gemm("GEMM");
  EXPECT_EQ(gemm.fused(), std::vector<std::string>{"norm"}) << "its weights are folded";
  EXPECT_EQ(gemm.layout, Layout::nchw);
  expect_near(gemm.y, unnamed.y);
}

TEST(Reference, OverridesEveryEngineAndFusesNothing) {
  const OnePass unnamed("", false);
  for (const char* engine : {"", "CAFFE", "GEMM"}) {
    SCOPED_TRACE(engine);
    const OnePass run(engine, true);
    EXPECT_EQ(run.fused(), std::vector<std::string>{});
    EXPECT_EQ(run.layout, Layout::nchw);
    expect_near(run.y, unnamed.y);
  }
}

}  // namespace
}  // namespace doppio
