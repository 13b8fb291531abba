// Iterations whose passes are captured and replayed come to the same as those run step by step.
#include "cuda/gpu_test.hpp"
#include "cuda/small_alexnet.hpp"

namespace doppio {
namespace {

class IterationTest : public GpuTest {};

TEST_F(IterationTest, ReplayedPassesTrainAsOthersDo) {
  for (const char* engine : {"GEMM", "DEFAULT"})
    for (const int iter_size : {1, 2}) {
      SolverParameter param = small_alexnet(engine);
      param.set_iter_size(iter_size);
      Context stepwise(test_gpu()), replaying(test_gpu());
      stepwise.graph_capture = false;
      EXPECT_EQ(weights_after(replaying, param, 7), weights_after(stepwise, param, 7));
    }
}

TEST_F(IterationTest, ReplayedPassesComeToTheSameAsTheCpus) {
  Context cpu;
  const auto expected = weights_after(cpu, small_alexnet("GEMM"), 6);
  const auto actual = weights_after(*ctx, small_alexnet("DEFAULT"), 6);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t p = 0; p < expected.size(); ++p)
    for (std::size_t i = 0; i < expected[p].size(); ++i)
      ASSERT_NEAR(actual[p][i], expected[p][i], 1e-5f) << "parameter " << p << " at " << i;
}

/// Tests in between round the weights, which is work that the training had captured.
TEST_F(IterationTest, TestsInBetweenChangeNothing) {
  SolverParameter param = small_alexnet("DEFAULT");
  param.mutable_train_net_param()->set_compute_type(BFLOAT16);
  *param.add_test_net_param() = param.train_net_param();
  param.add_test_iter(4);
  param.set_test_interval(3);
  std::vector<float> losses[2];
  for (const bool capture : {false, true}) {
    Context own(test_gpu());
    own.graph_capture = capture;
    Solver solver(own, param);
    solver.save_memory();
    for (int i = 0; i < 14; ++i) {
      solver.step(1);
      losses[capture].push_back(values(solver.net().blob("loss").data)[0]);
    }
    const auto replays = [&](Net& net) { return net.replay_count(); };
    EXPECT_GE(replays(solver.net()), capture ? 6u : 0u);
    EXPECT_GE(replays(*solver.test_nets()[0]), capture ? 8u : 0u);
  }
  EXPECT_EQ(losses[1], losses[0]);
}

/// Weights that the host changes between two iterations are the ones that count.
TEST_F(IterationTest, WhatTheHostChangesIsSeen) {
  std::vector<float> losses[2];
  for (const bool capture : {false, true}) {
    Context own(test_gpu());
    own.graph_capture = capture;
    Solver solver(own, small_alexnet("GEMM"));
    Net& net = solver.net();
    for (int i = 0; i < 8; ++i) {
      if (i == 5) net.parameters()[0].blob->data.update_host()[0] += 1;
      if (i == 6) net.forward();  // also counts as a pass
      losses[capture].push_back(net.forward_backward());
    }
    EXPECT_EQ(net.replay_count() > 0, capture);
  }
  EXPECT_EQ(losses[1], losses[0]);
}

/// Tensors that two GPUs share go to and fro, so that there is nothing to be captured.
TEST_F(IterationTest, NetsOnTwoGpusMayShareWeights) {
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

TEST_F(IterationTest, BadLabelsAreFoundInReplayedPasses) {
  Solver solver(*ctx, small_alexnet("GEMM"));
  Net& net = solver.net();
  for (int i = 0; i < 4; ++i) net.forward_backward();
  EXPECT_GT(net.replay_count(), 0u);
  net.blob("label").data.write_host()[0] = 12;
  net.blob("label").data.write_host()[1] = 1;
  EXPECT_ERROR(net.forward_backward(), "label 12 at item 0 is out of range for 10 classes");
}

TEST_F(IterationTest, InferenceIsStartedByOneCallToo) {
  Context stepwise(test_gpu()), cpu;
  stepwise.graph_capture = false;
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
  EXPECT_EQ(net.replay_count(), 2u) << "the fourth and the sixth; the third was captured";
}

/// Of another shape, convolutions need other algorithms, which cannot be looked for in a capture.
TEST_F(IterationTest, AReshapedNetIsCapturedAgain) {
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
    const std::uint64_t replays = net.replay_count();
    for (int i = 0; i < 5; ++i) of_context.push_back(net.forward_backward());
    EXPECT_EQ(net.replay_count() - replays, context == &cpu ? 0u : 2u);
  }
  for (std::size_t i = 0; i < losses[0].size(); ++i)
    EXPECT_NEAR(losses[1][i], losses[0][i], 1e-4f) << i;
}

TEST_F(IterationTest, BackwardNeedsAForwardPassThatWasNotReplayed) {
  Solver solver(*ctx, small_alexnet("GEMM"));
  for (int i = 0; i < 5; ++i) solver.net().forward_backward();
  EXPECT_THROW(solver.net().backward(), InternalError);
  solver.net().forward();
  EXPECT_NO_THROW(solver.net().backward());
}

/// As many weights as are worth it are updated while the backward pass still runs.
TEST_F(IterationTest, UpdatesBesideTheBackwardPassTrainAsOthersDo) {
  Context stepwise(test_gpu());
  stepwise.graph_capture = false;
  EXPECT_EQ(weights_after(*ctx, large_alexnet(), 4), weights_after(stepwise, large_alexnet(), 4));
}

}  // namespace
}  // namespace doppio
