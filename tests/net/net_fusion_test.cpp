#include <omp.h>

#include "core/cpu.hpp"
#include "doppio/net.hpp"
#include "net/passes/memory_plan.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string convolution_and_relu(const std::string& name, const std::string& bottom, int kernel) {
  return str("layer { name: '", name, "' type: 'Convolution' bottom: '", bottom, "' top: '", name,
             "' convolution_param { num_output: 32 kernel_size: ", kernel, " pad: ", kernel / 2,
             " weight_filler { type: 'xavier' } bias_filler { type: 'uniform' min: -0.5 max: 0.5 }"
             " } } layer { name: 'relu_",
             name, "' type: 'ReLU' bottom: '", name, "' top: '", name, "' }\n");
}

/// Blobs, losses and gradients of a net with convolutions and ReLUs, with and without fusion.
struct FusionRun {
  explicit FusionRun(bool fusion, const std::string& compute_type = "FLOAT32") : ctx(7) {
    ctx.fusion = fusion;
    NetState state;
    state.set_phase(TRAIN);
    net = std::make_unique<Net>(
        ctx,
        parse_prototxt(
            "force_backward: true compute_type: " + compute_type +
                " layer { name: 'in' type: 'Input' top: 'x' input_param { shape { "
                "dim: [2, 3, 12, 13] } } }" +
                convolution_and_relu("a", "x", 5) + convolution_and_relu("b", "a", 3) +
                convolution_and_relu("c", "b", 1) +
                "layer { name: 'loss' type: 'Reduction' bottom: 'c' top: 'loss' loss_weight: 1 "
                "reduction_param { operation: SUMSQ } }",
            "net.prototxt"),
        state);
    Tensor& x = net->blob("x").data;
    for (Index i = 0; i < x.count(); ++i)
      x.update_host()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    loss = net->forward();
    net->clear_grads();
    net->backward();
  }
  bool fused(const std::string& layer) { return net->is_fused(net->layer("relu_" + layer)); }

  Context ctx;
  std::unique_ptr<Net> net;
  float loss = 0;
};

void expect_same(FusionRun& apart, FusionRun& together) {
  EXPECT_EQ(apart.loss, together.loss);
  for (const char* blob : {"a", "b", "c"})
    EXPECT_EQ(values(together.net->blob(blob).data), values(apart.net->blob(blob).data)) << blob;
  EXPECT_EQ(values(together.net->blob("x").grad), values(apart.net->blob("x").grad));
  for (std::size_t i = 0; i < apart.net->parameters().size(); ++i)
    EXPECT_EQ(values(together.net->parameters()[i].blob->grad),
              values(apart.net->parameters()[i].blob->grad))
        << i;
}

TEST(Fusion, ReluGivesTheSame) {
  FusionRun apart(false), together(true);
  const bool has_engine = cpu_isa() != Isa::baseline;
  EXPECT_EQ(together.fused("a"), has_engine);
  EXPECT_FALSE(apart.fused("a"));
  EXPECT_FALSE(together.fused("c"));
  expect_same(apart, together);
}

TEST(Fusion, ReluGivesTheSameWithFactorsOfBfloat16) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU lacks AVX512_BF16";
  FusionRun apart(false, "BFLOAT16"), together(true, "BFLOAT16");
  for (const char* layer : {"a", "b", "c"}) EXPECT_TRUE(together.fused(layer)) << layer;
  expect_same(apart, together);
  EXPECT_NE(together.loss, FusionRun(true).loss) << "nothing was rounded";
}

const char* const kLoss =
    " layer { name: 'loss' type: 'Reduction' bottom: 'c' top: 'loss' loss_weight: 1 "
    "reduction_param { operation: SUMSQ } }";

/// Convolution, batch normalization, scale and ReLU: a training pass, or inference without a loss.
struct NormalizedRun {
  NormalizedRun(Phase phase, bool fusion, Index channels) : ctx(7) {
    ctx.fusion = fusion;
    NetState state;
    state.set_phase(phase);
    net = std::make_unique<Net>(
        ctx,
        parse_prototxt(
            str("force_backward: ", phase == TRAIN ? "true" : "false",
                " layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [4, ",
                channels, ", 7, 5] } } }",
                " layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c' convolution_param {",
                " num_output: ", channels, " kernel_size: 1 weight_filler { type: 'xavier' } } }",
                " layer { name: 'n' type: 'BatchNorm' bottom: 'c' top: 'c' }",
                " layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' scale_param { bias_term: "
                "true",
                " filler { type: 'uniform' min: -1 max: 2 } bias_filler { type: 'uniform' max: 0.5 "
                "}",
                " } } layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }",
                phase == TRAIN ? kLoss : ""),
            "net.prototxt"),
        state);
    if (phase == TEST) set_values(net->layer("n").layer->params[2].data, {2});
    Tensor& x = net->blob("x").data;
    for (Index i = 0; i < x.count(); ++i)
      x.update_host()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    net->forward();
    if (phase == TEST) return;
    net->clear_grads();
    net->backward();
  }

  Context ctx;
  std::unique_ptr<Net> net;
};

void expect_near(const Tensor& a, const Tensor& b, const std::string& what) {
  const std::vector<float> x = values(a), y = values(b);
  ASSERT_EQ(x.size(), y.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(x[i], y[i], 1e-4f * (1 + std::abs(y[i]))) << what << " at " << i;
}

TEST(Fusion, ScaleAndReluGiveTheSame) {
  for (const Phase phase : {TRAIN, TEST})
    for (const Index channels : {3, 32}) {
      NormalizedRun apart(phase, false, channels), together(phase, true, channels);
      for (const char* layer : {"s", "r"}) {
        EXPECT_TRUE(together.net->is_fused(together.net->layer(layer)));
        EXPECT_FALSE(apart.net->is_fused(apart.net->layer(layer)));
      }
      expect_near(together.net->blob("c").data, apart.net->blob("c").data, "top");
      if (phase == TEST) continue;
      expect_near(together.net->blob("x").grad, apart.net->blob("x").grad, "gradient");
      for (std::size_t i = 0; i < apart.net->parameters().size(); ++i) {
        const Parameter &p = together.net->parameters()[i], &q = apart.net->parameters()[i];
        expect_near(p.blob->data, q.blob->data, str(p.layer, p.index));
        if (p.blob->needs_grad) expect_near(p.blob->grad, q.blob->grad, str(p.layer, p.index));
      }
    }
}

/// Convolution, LRN and pooling of `images` images. Saves memory except for the blobs `keep`.
struct PooledRun {
  PooledRun(const std::string& lrn, const std::string& pooling, bool fusion,
            const std::vector<std::string>& keep = {}, Index images = 5)
      : ctx(7) {
    ctx.fusion = fusion;
    NetState state;
    state.set_phase(TRAIN);
    net = std::make_unique<Net>(
        ctx,
        parse_prototxt(
            str("force_backward: true layer { name: 'in' type: 'Input' top: 'x' input_param { shape"
                " { dim: [",
                images, ", 3, 37, 41] } } }", convolution_and_relu("a", "x", 5),
                "layer { name: 'n' type: 'LRN' bottom: 'a' top: 'n' lrn_param { ", lrn, " } }",
                "layer { name: 'c' type: 'Pooling' bottom: 'n' top: 'c' pooling_param { ", pooling,
                " } }", kLoss),
            "net.prototxt"),
        state);
    std::vector<std::string> all = keep;
    for (const char* blob : {"x", "c"}) all.push_back(blob);
    net->save_memory(Passes::forward_and_backward, all);
    Tensor& x = net->blob("x").data;
    for (Index i = 0; i < x.count(); ++i)
      x.update_host()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    loss = net->forward();
    net->clear_grads();
    net->backward();
  }
  bool fused() { return net->is_fused(net->layer("c")); }

  Context ctx;
  std::unique_ptr<Net> net;
  float loss = 0;
};

TEST(Fusion, PoolingBehindLrnGivesTheSame) {
  for (const char* lrn : {"local_size: 5 alpha: 2", "local_size: 3 norm_region: WITHIN_CHANNEL"})
    for (const char* pooling : {"pool: MAX kernel_size: 3 stride: 2", "pool: AVE kernel_size: 2",
                                "pool: MAX kernel_size: 17 stride: 9 pad: 1"}) {
      PooledRun apart(lrn, pooling, false), together(lrn, pooling, true);
      EXPECT_FALSE(apart.fused());
      EXPECT_EQ(together.fused(), std::string(lrn).find("WITHIN") != std::string::npos ||
                                      std::string(pooling).find("17") == std::string::npos);
      EXPECT_EQ(together.loss, apart.loss);
      EXPECT_EQ(values(together.net->blob("c").data), values(apart.net->blob("c").data));
      EXPECT_EQ(values(together.net->blob("x").grad), values(apart.net->blob("x").grad));
    }
}

TEST(Fusion, LrnAndPoolingWorkPieceByPiece) {
  const char* const lrn = "local_size: 5";
  const char* const pooling = "pool: MAX kernel_size: 3 stride: 2";
  const Index images = 50;  // 21 of them have more than a million values
  PooledRun apart(lrn, pooling, false, {}, images), together(lrn, pooling, true, {}, images);
  ASSERT_TRUE(together.fused());
  EXPECT_EQ(values(together.net->blob("c").data), values(apart.net->blob("c").data));
  EXPECT_EQ(values(together.net->blob("x").grad), values(apart.net->blob("x").grad));
}

TEST(Fusion, LrnAndPoolingDoNotDependOnTheNumberOfThreads) {
  const auto run = [](Index images, int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    PooledRun r("local_size: 5", "pool: MAX kernel_size: 3 stride: 2", true, {}, images);
    omp_set_num_threads(before);
    EXPECT_TRUE(r.fused());
    return std::pair(values(r.net->blob("c").data), values(r.net->blob("x").grad));
  };
  for (const Index images : {1, 2, 5})
    for (const int threads : {2, 3}) EXPECT_EQ(run(images, threads), run(images, 1)) << images;
}

TEST(Fusion, LeavesLrnAndPoolingApartWhereItMustNotFuse) {
  const char* const lrn = "local_size: 5";
  EXPECT_FALSE(PooledRun(lrn, "pool: STOCHASTIC kernel_size: 3", true).fused()) << "it draws";
  PooledRun kept(lrn, "pool: MAX kernel_size: 3 stride: 2", true, {"n"});
  EXPECT_FALSE(kept.fused()) << "'n' is to be read";
  EXPECT_GT(values(kept.net->blob("n").data).size(), 0u);
}

TEST(Fusion, WhatLiesBetweenLrnAndPoolingTakesNoMemory) {
  const char* const pooling = "pool: MAX kernel_size: 3 stride: 2";
  PooledRun apart("local_size: 5", pooling, false), together("local_size: 5", pooling, true);
  ASSERT_TRUE(together.fused());
  const auto planned = [](PooledRun& run) {
    return plan_memory(*run.net, Passes::forward_and_backward).shared;
  };
  EXPECT_LT(planned(together), planned(apart) - together.net->blob("n").data.bytes() / 2);
  EXPECT_NE(error_of([&] { together.net->blob("n").data.read_host(); }).find("blob 'n'"),
            std::string::npos);
}

}  // namespace
}  // namespace doppio
