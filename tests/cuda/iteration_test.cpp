// What an iteration asks of the card, as the emulated one's journal has it.
#include <fstream>

#include "core/accelerator.hpp"
#include "emulated_cuda/launch.hpp"
#include "cuda/gpu_test.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "net/passes.hpp"

namespace doppio {
namespace {

using Journal = std::map<std::string, int>;

/// AlexNet's layers on small images, with convolutions by `engine`.
SolverParameter small_alexnet(const std::string& engine) {
  SolverParameter p;
  *p.mutable_train_net_param() = parse_prototxt(R"(
    layer { name: "data" type: "Input" top: "data" top: "label"
            input_param { shape { dim: 2 dim: 3 dim: 35 dim: 35 } shape { dim: 2 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 8 kernel_size: 11 stride: 4 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" }
    layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
            pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 5 pad: 2 group: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "fc6" type: "InnerProduct" bottom: "conv2" top: "fc6"
            inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
    layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
    layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" }
    layer { name: "fc8" type: "InnerProduct" bottom: "fc6" top: "fc8"
            inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" })",
                                                "net")
                                     .net;
  for (LayerParameter& layer : *p.mutable_train_net_param()->mutable_layer())
    if (layer.type() == "Convolution")
      layer.mutable_convolution_param()->set_engine(
          engine == "GEMM" ? ConvolutionParameter::GEMM : ConvolutionParameter::DEFAULT);
  p.set_base_lr(0.01f);
  p.set_lr_policy("fixed");
  p.set_momentum(0.9f);
  p.set_random_seed(1);
  return p;
}

/// The journal of iteration number `iteration`, from 1.
Journal journal_of_an_iteration(Context& ctx, int iteration, const std::string& engine) {
  Solver solver(ctx, small_alexnet(engine));
  solver.save_memory();
  solver.step(iteration - 1);
  const Journal before = cuda::emulated::journal();
  solver.step(1);
  Journal during = cuda::emulated::journal();
  for (const auto& [what, count] : before)
    if ((during[what] -= count) == 0) during.erase(what);
  return during;
}

/// All weights after so many iterations on images that change.
std::vector<std::vector<float>> weights_after(Context& ctx, const SolverParameter& param,
                                              int iterations) {
  Solver solver(ctx, param);
  for (int i = 0; i < iterations; ++i) {
    Tensor& data = solver.net().blob("data").data;
    float* v = data.write_host();
    for (Index k = 0; k < data.count(); ++k) v[k] = static_cast<float>((k + 31 * i) % 17) / 17;
    solver.step(1);
  }
  std::vector<std::vector<float>> all;
  for (const Parameter& p : solver.net().parameters()) all.push_back(values(p.blob->data));
  return all;
}

class IterationTest : public GpuTest {};

TEST_F(IterationTest, OnlyTheLossComesBack) {
  const Journal journal = journal_of_an_iteration(*ctx, 3, "GEMM");
  EXPECT_EQ(journal.count("upload"), 0u) << "the images were on the card already";
  EXPECT_EQ(journal.at("download"), 1);
  EXPECT_EQ(journal.count("wait"), 0u) << "but for the loss";
}

TEST_F(IterationTest, EachConvolutionIsThreeProductsWhateverItsBatchAndGroups) {
  const Journal journal = journal_of_an_iteration(*ctx, 3, "GEMM");
  // conv1 needs no gradient of the images; fc6 and fc8 add their biases by products.
  EXPECT_EQ(journal.at("copy_windows"), 4);
  EXPECT_EQ(journal.at("gather_windows"), 1);
  EXPECT_LE(journal.at("cuBLAS"), 5 + 6 + 4);
}

TEST_F(IterationTest, PassesAreStartedByOneCall) {
  const Journal journal = journal_of_an_iteration(*ctx, 4, "GEMM");
  EXPECT_EQ(journal.at("graph"), 2) << "one up to the loss, one behind it";
  EXPECT_EQ(journal.count("cuBLAS"), 0u);
  EXPECT_EQ(journal.at("Fused"), 8) << "updates need the learning rate";
  EXPECT_EQ(journal.count("wait"), 0u);
}

TEST_F(IterationTest, RecordedPassesTrainAsOthersDo) {
  for (const char* engine : {"GEMM", "DEFAULT"})
    for (const int iter_size : {1, 2}) {
      SolverParameter param = small_alexnet(engine);
      param.set_iter_size(iter_size);
      Context stepwise(open_accelerator(0)), repeating(open_accelerator(0));
      stepwise.recording = false;
      EXPECT_EQ(weights_after(repeating, param, 7), weights_after(stepwise, param, 7));
    }
}

TEST_F(IterationTest, RecordedPassesComeToTheSameAsTheCpus) {
  Context cpu;
  const auto expected = weights_after(cpu, small_alexnet("GEMM"), 6);
  const auto actual = weights_after(*ctx, small_alexnet("DEFAULT"), 6);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t p = 0; p < expected.size(); ++p)
    for (std::size_t i = 0; i < expected[p].size(); ++i)
      ASSERT_NEAR(actual[p][i], expected[p][i], 1e-5f) << "parameter " << p << " at " << i;
}

/// Tests in between round the weights, which is work that the training had recorded.
TEST_F(IterationTest, TestsInBetweenChangeNothing) {
  SolverParameter param = small_alexnet("DEFAULT");
  param.mutable_train_net_param()->set_compute_type(BFLOAT16);
  *param.add_test_net_param() = param.train_net_param();
  param.add_test_iter(4);
  param.set_test_interval(3);
  std::vector<float> losses[2];
  for (const bool recording : {false, true}) {
    Context own(open_accelerator(0));
    own.recording = recording;
    Solver solver(own, param);
    solver.save_memory();
    for (int i = 0; i < 14; ++i) {
      solver.step(1);
      losses[recording].push_back(values(solver.net().blob("loss").data)[0]);
    }
    const auto repeated = [&](Net& net) { return net.repeated_passes(); };
    EXPECT_GE(repeated(solver.net()), recording ? 6u : 0u);
    EXPECT_GE(repeated(*solver.test_nets()[0]), recording ? 8u : 0u);
  }
  EXPECT_EQ(losses[1], losses[0]);
}

/// Weights that the host changes between two iterations are the ones that count.
TEST_F(IterationTest, WhatTheHostChangesIsSeen) {
  std::vector<float> losses[2];
  for (const bool recording : {false, true}) {
    Context own(open_accelerator(0));
    own.recording = recording;
    Solver solver(own, small_alexnet("GEMM"));
    Net& net = solver.net();
    for (int i = 0; i < 8; ++i) {
      if (i == 5) net.parameters()[0].blob->data.update_host()[0] += 1;
      if (i == 6) net.forward();  // also counts as a pass
      losses[recording].push_back(net.forward_backward());
    }
    EXPECT_EQ(net.repeated_passes() > 0, recording);
  }
  EXPECT_EQ(losses[1], losses[0]);
}

/// Tensors that two cards share go to and fro, so that there is nothing to be recorded.
TEST_F(IterationTest, NetsOnTwoCardsMayShareWeights) {
  Context other(open_accelerator(0)), alone(open_accelerator(0));
  Solver first(*ctx, small_alexnet("GEMM")), second(other, small_alexnet("GEMM")),
      third(alone, small_alexnet("GEMM"));
  second.net().share_weights(first.net());
  for (int i = 0; i < 5; ++i) {
    const float loss = third.net().forward_backward();
    EXPECT_EQ(first.net().forward_backward(), loss);
    EXPECT_EQ(second.net().forward_backward(), loss);
  }
}

TEST_F(IterationTest, BadLabelsAreFoundInRecordedPasses) {
  Solver solver(*ctx, small_alexnet("GEMM"));
  Net& net = solver.net();
  for (int i = 0; i < 4; ++i) net.forward_backward();
  EXPECT_GT(net.repeated_passes(), 0u);
  net.blob("label").data.write_host()[0] = 12;
  net.blob("label").data.write_host()[1] = 1;
  const std::string error = error_of([&] { net.forward_backward(); });
  EXPECT_NE(error.find("label 12 at item 0 is out of range for 10 classes"), std::string::npos)
      << error;
}

TEST_F(IterationTest, InferenceIsStartedByOneCallToo) {
  Context stepwise(open_accelerator(0)), cpu;
  stepwise.recording = false;
  NetParameter param = small_alexnet("DEFAULT").train_net_param();
  param.mutable_layer()->RemoveLast();  // the loss
  NetState state;
  state.set_phase(TEST);
  Net net(*ctx, param, state), other(stepwise, param, state);
  for (Net* n : {&net, &other}) n->save_memory(Passes::forward);
  for (int pass = 0; pass < 6; ++pass) {
    for (Net* n : {&net, &other}) {
      if (pass == 4) n->parameters()[0].blob->data.update_host()[0] += 1;
      float* v = n->blob("data").data.write_host();
      for (Index k = 0; k < n->blob("data").count(); ++k)
        v[k] = static_cast<float>((k + 5 * pass) % 13) / 13;
      n->forward();
    }
    EXPECT_EQ(values(net.blob("fc8").data), values(other.blob("fc8").data)) << "pass " << pass;
  }
  EXPECT_EQ(net.repeated_passes(), 2u) << "the fourth and the sixth; the third was recorded";
}

TEST_F(IterationTest, WithoutMemoryForGraphsTrainingGoesOnStepByStep) {
  Context stepwise(open_accelerator(0));
  stepwise.recording = false;
  const auto expected = weights_after(stepwise, small_alexnet("DEFAULT"), 5);
  cuda::emulated::graphs_fail = true;
  const auto actual = weights_after(*ctx, small_alexnet("DEFAULT"), 5);
  cuda::emulated::graphs_fail = false;
  EXPECT_EQ(actual, expected);
}

TEST_F(IterationTest, WhatARecordingReleasesIsFreedBehindIt) {
  Accelerator& card = *ctx->accelerator();
  const auto free_memory = [&] {
    card.synchronize();
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return free;
  };
  card.counter();
  const std::size_t before = free_memory();
  void* memory = card.allocate(1 << 20);
  void* pinned = card.allocate_host(1 << 20);
  card.begin_recording();
  card.release(memory);
  card.release_host(pinned);
  EXPECT_EQ(card.end_recording(), nullptr) << "it might have used the memory";
  EXPECT_EQ(free_memory(), before);
}

/// Of another shape, convolutions need other algorithms, which cannot be looked for in a recording.
TEST_F(IterationTest, AReshapedNetIsRecordedAgain) {
  Context cpu;
  std::vector<std::vector<float>> losses;
  for (Context* context : {&cpu, ctx.get()}) {
    Solver solver(*context, small_alexnet("DEFAULT"));
    Net& net = solver.net();
    std::vector<float>& of_context = losses.emplace_back();
    for (int i = 0; i < 4; ++i) of_context.push_back(net.forward_backward());
    net.blob("data").reshape({1, 3, 35, 35});
    net.blob("label").reshape({1});
    net.reshape();
    const std::uint64_t repeated = net.repeated_passes();
    for (int i = 0; i < 5; ++i) of_context.push_back(net.forward_backward());
    EXPECT_EQ(net.repeated_passes() - repeated, context == &cpu ? 0u : 2u);
  }
  for (std::size_t i = 0; i < losses[0].size(); ++i)
    EXPECT_NEAR(losses[1][i], losses[0][i], 1e-4f) << i;
}

TEST_F(IterationTest, BackwardNeedsAForwardPassThatWasNotRepeated) {
  Solver solver(*ctx, small_alexnet("GEMM"));
  for (int i = 0; i < 5; ++i) solver.net().forward_backward();
  EXPECT_THROW(solver.net().backward(), InternalError);
  solver.net().forward();
  EXPECT_NO_THROW(solver.net().backward());
}

/// A net with as many weights as are worth it: they are updated while the convolution still works.
TEST_F(IterationTest, LargeUpdatesRunBesideTheBackwardPass) {
  SolverParameter param = small_alexnet("GEMM");
  for (LayerParameter& layer : *param.mutable_train_net_param()->mutable_layer())
    if (layer.name() == "fc6") layer.mutable_inner_product_param()->set_num_output(9000);
  Context stepwise(open_accelerator(0)), repeating(open_accelerator(0));
  stepwise.recording = false;
  EXPECT_EQ(weights_after(repeating, param, 4), weights_after(stepwise, param, 4));
  const Journal before = cuda::emulated::journal();
  Solver solver(*ctx, param);
  solver.step(4);
  const int graphs =
      cuda::emulated::journal().at("graph") - (before.count("graph") ? before.at("graph") : 0);
  EXPECT_EQ(graphs, 2 * 3) << "up to the loss, up to fc6's gradient, the rest: iterations 3 and 4";
}

}  // namespace
}  // namespace doppio
