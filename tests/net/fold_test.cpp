// Inference with BatchNorm, Scale, Eltwise and ReLU layers fused into the preceding convolution.
#include <gtest/gtest.h>

#include <cmath>

#include "core/cpu.hpp"
#include "doppio/net.hpp"
#include "net/passes/memory_plan.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string convolution(const std::string& name, const std::string& bottom,
                        const std::string& fields) {
  return "layer { name: '" + name + "' type: 'Convolution' bottom: '" + bottom + "' top: '" + name +
         "' convolution_param { weight_filler { type: 'xavier' } bias_filler { type: 'uniform' } " +
         fields + " } }\n";
}

std::string one_to_one(const std::string& type, const std::string& name, const std::string& bottom,
                       const std::string& top, const std::string& fields = "") {
  return "layer { name: '" + name + "' type: '" + type + "' bottom: '" + bottom + "' top: '" + top +
         "' " + fields + " }\n";
}

const char* const kScale =
    "scale_param { bias_term: true filler { type: 'uniform' min: -1 max: 2 }"
    " bias_filler { type: 'uniform' min: -0.5 max: 0.5 } }";

/// BatchNorm, Scale and ReLU in place.
std::string normalization(const std::string& blob) {
  return one_to_one("BatchNorm", "norm_" + blob, blob, blob) +
         one_to_one("Scale", "scale_" + blob, blob, blob, kScale) +
         one_to_one("ReLU", "relu_" + blob, blob, blob);
}

/// A net in TEST with input x of 2 x `channels` x 20 x 21 and nontrivial statistics.
struct Inference {
  Inference(const std::string& layers, bool fusion, Index channels = 32, Phase phase = TEST)
      : ctx(7) {
    ctx.fusion = fusion;
    NetState state;
    state.set_phase(phase);
    net = std::make_unique<Net>(
        ctx,
        parse_prototxt(str("layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: "
                           "[2, ",
                           channels, ", 20, 21] } } }\n", layers),
                       "net.prototxt"),
        state);
    fill(net->blob("x").data, -1);
    for (NetLayer& l : net->layers())
      if (l.type == "BatchNorm") {
        fill(l.layer->params[0].data, -1);
        fill(l.layer->params[1].data, 0.5f);
        set_values(l.layer->params[2].data, {2});
      }
  }

  static void fill(Tensor& t, float least) {
    float* v = t.write_host();
    for (Index i = 0; i < t.count(); ++i) v[i] = least + static_cast<float>(i * 37 % 101) / 50;
  }

  static void add_one(Tensor& t) {
    for (Index i = 0; i < t.count(); ++i) t.update_host()[i] += 1;
  }

  bool fused(const std::string& layer) const { return net->is_fused(net->layer(layer)); }
  Tensor& param(const std::string& layer, std::size_t i) {
    return net->layer(layer).layer->params[i].data;
  }

  Context ctx;
  std::unique_ptr<Net> net;
};

/// The root mean square of a - b, relative to that of b.
double difference(const Tensor& a, const Tensor& b) {
  const std::vector<float> x = values(a), y = values(b);
  EXPECT_EQ(x.size(), y.size());
  double error = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - y[i], 2);
    size += std::pow(double{y[i]}, 2);
  }
  EXPECT_GT(size, 0);
  return std::sqrt(error / size);
}

struct Geometry {
  const char* name;
  Index channels;
  const char* fields;
};

const Geometry kGeometries[] = {
    {"one_by_one", 32, "num_output: 48 kernel_size: 1"},
    {"without_bias", 32, "num_output: 48 kernel_size: 1 bias_term: false"},
    {"winograd", 64, "num_output: 64 kernel_size: 3 pad: 1 bias_term: false"},
    {"depthwise", 32, "num_output: 32 kernel_size: 3 pad: 1 group: 32 bias_term: false"},
    {"image", 3, "num_output: 32 kernel_size: 5 stride: 2"},
    {"odd_channels", 44, "num_output: 44 kernel_size: 3 pad: 1"},
    {"reference", 32, "num_output: 32 kernel_size: 3 engine: GEMM"},
};

class Fold : public testing::TestWithParam<Geometry> {};
INSTANTIATE_TEST_SUITE_P(Convolutions, Fold, testing::ValuesIn(kGeometries),
                         [](const auto& one) { return one.param.name; });

TEST_P(Fold, GivesTheSameAndFollowsEveryParameter) {
  const std::string layers = convolution("c", "x", GetParam().fields) + normalization("c");
  Inference apart(layers, false, GetParam().channels), folded(layers, true, GetParam().channels);
  const auto expect_same = [&](const std::string& what) {
    apart.net->forward();
    folded.net->forward();
    EXPECT_LT(difference(folded.net->blob("c").data, apart.net->blob("c").data), 1e-5) << what;
  };
  expect_same("first pass");
  for (const char* layer : {"norm_c", "scale_c"}) {
    EXPECT_TRUE(folded.fused(layer));
    EXPECT_FALSE(apart.fused(layer));
  }
  expect_same("second pass");
  for (const char* layer : {"c", "norm_c", "scale_c"})
    for (std::size_t p = 0; p < folded.net->layer(layer).layer->params.size(); ++p) {
      const std::vector<float> before = values(folded.net->blob("c").data);
      for (Inference* run : {&apart, &folded}) Inference::add_one(run->param(layer, p));
      expect_same(str(layer, " ", p));
      EXPECT_NE(values(folded.net->blob("c").data), before) << layer << " " << p;
    }
}

TEST(Folding, TakesABatchNormAlone) {
  const std::string conv = convolution("c", "x", "num_output: 32 kernel_size: 1");
  const std::string layers =
      conv + one_to_one("BatchNorm", "n", "c", "c") + one_to_one("ReLU", "r", "c", "c");
  Inference apart(layers, false), folded(layers, true);
  apart.net->forward();
  folded.net->forward();
  EXPECT_TRUE(folded.fused("n"));
  EXPECT_TRUE(folded.fused("r"));
  EXPECT_LT(difference(folded.net->blob("c").data, apart.net->blob("c").data), 1e-5);
}

TEST(Folding, LeavesStatisticsOfTheBatchAlone) {
  Inference train(convolution("c", "x", "num_output: 32 kernel_size: 1") + normalization("c"), true,
                  32, TRAIN);
  train.net->forward();
  EXPECT_FALSE(train.fused("norm_c"));
}

TEST(Folding, NeedsANetThatNeverGoesBack) {
  Inference run(convolution("c", "x", "num_output: 32 kernel_size: 1") + normalization("c") +
                    "layer { name: 'loss' type: 'Reduction' bottom: 'c' top: 'loss' "
                    "loss_weight: 1 }",
                true);
  const float loss = run.net->forward();
  EXPECT_FALSE(run.fused("norm_c"));
  run.net->backward();
  run.net->save_memory(Passes::forward);
  EXPECT_NEAR(run.net->forward(), loss, 1e-4f * std::abs(loss));
  EXPECT_TRUE(run.fused("norm_c"));
  run.net->save_memory(Passes::forward_and_backward);
  EXPECT_NEAR(run.net->forward(), loss, 1e-4f * std::abs(loss));
  EXPECT_FALSE(run.fused("norm_c"));
  run.net->backward();
}

TEST(Folding, LetsGoWhereSomebodyWatches) {
  const std::string layers =
      convolution("c", "x", "num_output: 32 kernel_size: 1") + normalization("c");
  Inference apart(layers, false), run(layers, true);
  apart.net->forward();
  run.net->forward();
  run.net->set_debug_info(true);
  run.net->forward();
  EXPECT_FALSE(run.fused("norm_c"));
  EXPECT_FALSE(run.fused("relu_c"));
  EXPECT_LT(difference(run.net->blob("c").data, apart.net->blob("c").data), 1e-5);
}

const std::string kBeside = convolution("c", "x", "num_output: 32 kernel_size: 1") +
                            one_to_one("BatchNorm", "n", "c", "n") +
                            one_to_one("Scale", "s", "n", "n", kScale) +
                            one_to_one("ReLU", "r", "n", "n");

TEST(Folding, KeepsABlobThatCanBeRead) {
  Inference apart(kBeside, false), watched(kBeside, true), kept(kBeside, true);
  kept.net->save_memory(Passes::forward, {"c"});
  for (Inference* run : {&apart, &watched, &kept}) run->net->forward();
  for (Inference* run : {&watched, &kept}) {
    EXPECT_FALSE(run->fused("n"));
    for (const char* blob : {"c", "n"})
      EXPECT_LT(difference(run->net->blob(blob).data, apart.net->blob(blob).data), 1e-5) << blob;
  }
}

TEST(Folding, WritesTheTopOfTheBatchNorm) {
  Inference apart(kBeside, false), saving(kBeside, true);
  saving.net->save_memory(Passes::forward);
  apart.net->forward();
  for (int pass = 0; pass < 2; ++pass) saving.net->forward();
  EXPECT_TRUE(saving.fused("n"));
  EXPECT_LT(difference(saving.net->blob("n").data, apart.net->blob("n").data), 1e-5);
  EXPECT_NE(error_of([&] { saving.net->blob("c").data.read_host(); }).find("blob 'c' was released"),
            std::string::npos);
  for (Inference* run : {&apart, &saving}) {
    run->net->blob("x").reshape({3, 32, 4, 5});
    Inference::fill(run->net->blob("x").data, -0.5f);
    run->net->forward();
  }
  EXPECT_EQ(saving.net->blob("n").shape(), (Shape{3, 32, 4, 5}));
  EXPECT_LT(difference(saving.net->blob("n").data, apart.net->blob("n").data), 1e-5);
}

TEST(Folding, IsPlanned) {
  const std::string conv = convolution("c", "x", "num_output: 32 kernel_size: 1");
  const auto held = [](const std::string& layers) {
    Inference run(layers, true);
    run.net->save_memory(Passes::forward);
    return plan_memory(*run.net, Passes::forward).held;
  };
  EXPECT_EQ(held(conv + normalization("c")) - held(conv), 4 * (32 * 32 + 32));
}

/// A residual block: the sum of two convolutions, and the layers after it.
const std::string kBlock =
    convolution("a", "x", "num_output: 32 kernel_size: 1") + normalization("a") +
    convolution("b", "a", "num_output: 64 kernel_size: 1") +
    one_to_one("BatchNorm", "norm_b", "b", "b") + one_to_one("Scale", "scale_b", "b", "b", kScale) +
    convolution("c", "a", "num_output: 64 kernel_size: 1") +
    one_to_one("BatchNorm", "norm_c", "c", "c") + one_to_one("Scale", "scale_c", "c", "c", kScale) +
    "layer { name: 'sum' type: 'Eltwise' bottom: 'b' bottom: 'c' top: 'sum' }\n" +
    one_to_one("ReLU", "relu_sum", "sum", "sum") +
    convolution("d", "sum", "num_output: 16 kernel_size: 1");

TEST(Folding, AddsTheOtherBranch) {
  if (cpu_isa() == Isa::baseline) GTEST_SKIP() << "no engine adds";
  Inference apart(kBlock, false), folded(kBlock, true);
  folded.net->save_memory(Passes::forward, {"sum"});
  apart.net->forward();
  for (int pass = 0; pass < 2; ++pass) folded.net->forward();
  EXPECT_TRUE(folded.fused("sum"));
  EXPECT_TRUE(folded.fused("relu_sum"));
  for (const char* blob : {"sum", "d"})
    EXPECT_LT(difference(folded.net->blob(blob).data, apart.net->blob(blob).data), 1e-5) << blob;
  EXPECT_NE(error_of([&] { folded.net->blob("c").data.read_host(); }).find("was released"),
            std::string::npos);
  folded.net->save_memory(Passes::forward, {"c"});
  folded.net->forward();
  EXPECT_FALSE(folded.fused("sum"));
  for (const char* blob : {"c", "d"})
    EXPECT_LT(difference(folded.net->blob(blob).data, apart.net->blob(blob).data), 1e-5) << blob;
}

TEST(Folding, LeavesTheSumWhereBlobsCanBeRead) {
  Inference apart(kBlock, false), folded(kBlock, true);
  apart.net->forward();
  folded.net->forward();
  EXPECT_FALSE(folded.fused("sum"));
  for (const char* blob : {"b", "c", "sum", "d"})
    EXPECT_LT(difference(folded.net->blob(blob).data, apart.net->blob(blob).data), 1e-5) << blob;
}

}  // namespace
}  // namespace doppio
