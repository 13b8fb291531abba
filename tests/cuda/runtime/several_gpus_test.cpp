// Training on two GPUs comes to what one GPU, or the CPU, comes to.
#include <google/protobuf/text_format.h>

#include <cmath>

#include "core/accelerator.hpp"
#ifdef DOPPIO_EMULATED_CUDA
#include "emulated_cuda/launch.hpp"
#endif
#include "cuda/gpu_test.hpp"
#include "cuda/records.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "net/passes/passes.hpp"
#include "solver/read_solver.hpp"
#include "solver/rules/update_rule.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr int kSide = 9, kRecords = 26, kBatch = 4;

/// All weights and history, and the losses on the way.
struct Outcome {
  std::vector<float> memory, losses;
};

class SeveralGpus : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    if (list_accelerators().size() < 2) GTEST_SKIP() << "this machine has one GPU";
    const std::string support = accelerator_support();
    if (support.find("no NCCL") != std::string::npos) GTEST_SKIP() << support;
    second = std::make_unique<Context>(open_accelerator(1));
    write_records(folder / "db", kRecords, kSide, kRecords);
  }

  std::string data(const std::string& more = "") const {
    return str("layer { name: 'data' type: 'Data' top: 'data' top: 'label' data_param { ",
               "backend: LMDB source: '", folder / "db", "' shuffle: true ", more,
               " } transform_param { crop_size: 7 mirror: true scale: 0.01 } }\n");
  }

  /// A net with parameters in two groups: those of `fc` are many.
  SolverParameter solver(const std::string& data_layer, const std::string& dropout = "",
                         const std::string& more = "") const {
    SolverParameter p;
    ensure(google::protobuf::TextFormat::ParseFromString(more, &p), more);
    *p.mutable_train_net_param() = parse_prototxt(data_layer + R"(
      layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
              convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
      layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" })" +
                                                      dropout + R"(
      layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
              inner_product_param { num_output: 2700 weight_filler { type: "xavier" } } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" })",
                                                  "net.prototxt")
                                       .net;
    p.set_base_lr(0.01f);
    p.set_lr_policy("fixed");
    p.set_momentum(0.9f);
    p.set_weight_decay(0.01f);
    p.set_random_seed(1);
    p.set_snapshot_prefix(folder / "snapshot");
    return p;
  }

  static std::unique_ptr<Solver> make(std::vector<Context*> contexts, const SolverParameter& p) {
    SourcedSolver source;
    source.param = p;
    auto solver = std::make_unique<Solver>(contexts, std::move(source));
    solver->save_memory();
    return solver;
  }

  static std::vector<std::vector<float>> weights(Solver& solver, int rank) {
    std::vector<std::vector<float>> all;
    for (const Parameter& p : solver.net(rank).parameters())
      if (p.lr_mult != 0) all.push_back(values(p.blob->data));
    return all;
  }

  static Outcome train(Solver& solver, int iterations) {
    struct Losses final : SolverObserver {
      std::vector<float> all;
      void on_iteration(Solver&, int, float loss, float) override { all.push_back(loss); }
    };
    const auto losses = std::make_shared<Losses>();
    solver.add_observer(losses);
    solver.step(iterations);
    Outcome outcome;
    const auto add = [&](const Tensor& tensor) {
      for (const float v : values(tensor)) outcome.memory.push_back(v);
    };
    for (const Parameter& p : solver.net().parameters()) add(p.blob->data);
    for (const Tensor& history : solver.history()) add(history);
    outcome.losses = losses->all;
    for (int rank = 1; rank < solver.ranks(); ++rank)
      EXPECT_EQ(weights(solver, rank), weights(solver, 0)) << "rank " << rank;
    return outcome;
  }

  static void expect_near(const Outcome& actual, const Outcome& expected) {
    ASSERT_EQ(actual.losses.size(), expected.losses.size());
    for (std::size_t i = 0; i < expected.losses.size(); ++i)
      EXPECT_NEAR(actual.losses[i], expected.losses[i], 2e-5f) << "iteration " << i;
    ASSERT_EQ(actual.memory.size(), expected.memory.size());
    for (std::size_t i = 0; i < expected.memory.size(); ++i)
      ASSERT_NEAR(actual.memory[i], expected.memory[i], 2e-5f) << i;
  }

  ScratchFolder folder;
  std::unique_ptr<Context> second;
};

/// Work beside the rest is done late on the first GPU, and early on the second.
TEST_F(SeveralGpus, LearnWhatOneWouldLearn) {
#ifdef DOPPIO_EMULATED_CUDA
  Accelerator& gpu = *second->accelerator();
  gpu.record_event(0);
  gpu.begin_side_stream(0);
  cuda::emulated::hurry(static_cast<cudaStream_t>(gpu.stream()));
  gpu.end_side_stream();
#endif
  Context cpu;
  for (const char* more : {"", "iter_size: 2", "clip_gradients: 0.1", "type: 'Nesterov'",
                           "local_lr_auto: true local_gw_ratio: 0.1"}) {
    SCOPED_TRACE(more);
    const SolverParameter p = solver(data(str("batch_size: ", kBatch)), "", more);
    const auto two = make({ctx.get(), second.get()}, p), one = make({ctx.get()}, p),
               none = make({&cpu}, p);
    EXPECT_EQ(two->ranks(), 2);
    EXPECT_EQ(two->net().blob("data").shape()[0], kBatch / 2);
    const Outcome expected = train(*none, 9);
    expect_near(train(*one, 9), expected);
    expect_near(train(*two, 9), expected);
    EXPECT_GT(two->net().replay_count(), 0u);
  }
}

TEST_F(SeveralGpus, SharesOfAShardAreThoseOfOneGpu) {
  Context cpu;
  const SolverParameter p = solver(data("batch_size: 4 shard: 1 shards: 3"));
  expect_near(train(*make({ctx.get(), second.get()}, p), 5), train(*make({&cpu}, p), 5));
}

TEST_F(SeveralGpus, DropWhatOneWouldDrop) {
  const SolverParameter p =
      solver(data(str("batch_size: ", kBatch)),
             "layer { name: 'drop' type: 'Dropout' bottom: 'conv' top: 'conv' }");
  expect_near(train(*make({ctx.get(), second.get()}, p), 5), train(*make({ctx.get()}, p), 5));
}

TEST_F(SeveralGpus, GoOnFromSnapshotsOfAnyNumber) {
  const SolverParameter p =
      solver(data(str("batch_size: ", kBatch)),
             "layer { name: 'drop' type: 'Dropout' bottom: 'conv' top: 'conv' }");
  const auto whole = make({ctx.get(), second.get()}, p);
  train(*whole, 4);
  const std::string state = whole->snapshot();
  const Outcome expected = train(*whole, 3);
  Context a(open_accelerator(0)), b(open_accelerator(1));
  const auto resumed = make({&a, &b}, p);
  resumed->restore(state);
  const Outcome actual = train(*resumed, 3);
  EXPECT_EQ(actual.losses, expected.losses);
  EXPECT_EQ(actual.memory, expected.memory);

  // The number of GPUs may change on the way.
  const auto one_gpu = make({&a}, p);
  one_gpu->restore(state);
  expect_near(train(*one_gpu, 3), expected);
}

/// Statistics of a part of the batch, a frozen layer, shared parameters, and tests in between.
TEST_F(SeveralGpus, KeepTheSameWeightsInOtherNetsToo) {
  SolverParameter p = solver(data("batch_size: 4"), R"(
      layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
      layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
      layer { name: "a" type: "Convolution" bottom: "conv" top: "a" param { name: "w" }
              convolution_param { num_output: 4 kernel_size: 1 bias_term: false
                                  weight_filler { type: "xavier" } } }
      layer { name: "b" type: "Convolution" bottom: "a" top: "conv2" param { name: "w" }
              convolution_param { num_output: 4 kernel_size: 1 bias_term: false
                                  weight_filler { type: "xavier" } } }
      layer { name: "frozen" type: "Scale" bottom: "conv2" top: "conv2" param { lr_mult: 0 } })",
                             "test_interval: 2 test_iter: 1 test_compute_loss: true");
  *p.mutable_test_net_param()->Add() = p.train_net_param();
  const auto two = make({ctx.get(), second.get()}, p);
  train(*two, 11);
  EXPECT_GT(two->net(1).replay_count(), 0u);
}

TEST_F(SeveralGpus, TakeUpWeightsThatWereChangedInBetween) {
  const SolverParameter p = solver(data(str("batch_size: ", kBatch)));
  const auto run = [&](std::vector<Context*> contexts) {
    const auto solver = make(std::move(contexts), p);
    train(*solver, 2);
    Tensor& weights = solver->net().parameters()[0].blob->data;
    float* w = weights.update_host();
    for (Index i = 0; i < weights.count(); ++i) w[i] *= 0.5f;
    return train(*solver, 2);
  };
  expect_near(run({ctx.get(), second.get()}), run({ctx.get()}));
}

TEST_F(SeveralGpus, WhatCannotBeSharedOutIsAnError) {
  const auto refused = [&](const std::string& data_layer) {
    return error_of([&] { make({ctx.get(), second.get()}, solver(data_layer)); });
  };
  const std::string odd = refused(data("batch_size: 5"));
  EXPECT_NE(odd.find("layer 'data' (Data): batch_size 5, that of all devices together, cannot be "
                     "divided evenly among 2; 4 or 6 can"),
            std::string::npos)
      << odd;
  EXPECT_NE(refused(data("batch_size: 1")).find("among 2; 2 can"), std::string::npos);
  SolverParameter sums = solver(data("batch_size: 4"));
  sums.mutable_train_net_param()
      ->mutable_layer()
      ->rbegin()
      ->mutable_loss_param()
      ->set_normalization(LossParameter::NONE);
  EXPECT_ERROR(make({ctx.get(), second.get()}, sums),
               "use BATCH_SIZE and a loss_weight of the batch size");
  const std::string input = refused(
      "layer { name: 'data' type: 'Input' top: 'data' top: 'label' input_param { "
      "shape { dim: 4 dim: 3 dim: 7 dim: 7 } shape { dim: 4 } } }");
  EXPECT_NE(input.find("layer 'data' (Input): its batches cannot be divided among 2 devices; only "
                       "those of Data, ImageData and AnnotatedData layers can"),
            std::string::npos)
      << input;
  Context cpu;
  EXPECT_EQ(error_of([&] {
              make({ctx.get(), &cpu}, solver(data("batch_size: 4")));
            }),
            "only GPUs can train together");
}

TEST_F(SeveralGpus, DivergenceIsTracedToWhereItBegan) {
  LmdbWriter writer(folder / "nan");
  for (int n = 0; n < 4; ++n) {
    Datum datum;
    datum.set_channels(3);
    datum.set_height(7);
    datum.set_width(7);
    for (int i = 0; i < 3 * 7 * 7; ++i) datum.add_float_data(n == 3 ? NAN : 1.0f);
    writer.put(str("key", n), datum.SerializeAsString());
  }
  writer.finish();
  std::string layer = data("batch_size: 4");
  layer.replace(layer.find("/db'"), 4, "/nan'");
  const auto two = make({ctx.get(), second.get()}, solver(layer));
  const std::string error = error_of([&] { two->step(1); });
  EXPECT_NE(error.find("training diverged at iteration 0"), std::string::npos) << error;
  EXPECT_NE(error.find("in blob 'data', a top of layer 'data' (Data), so the data holds it"),
            std::string::npos)
      << error;
}

TEST_F(SeveralGpus, AnErrorOfOneEndsTheTraining) {
  // A label that the classifier does not know, in the part of the second GPU.
  write_records(folder / "db6", 6, kSide, 6);
  std::string layer = data("batch_size: 4");
  layer.replace(layer.find("/db'"), 4, "/db6'");
  layer.replace(layer.find("shuffle: true"), 13, "");
  SolverParameter p = solver(layer);
  for (LayerParameter& l : *p.mutable_train_net_param()->mutable_layer())
    if (l.name() == "fc") l.mutable_inner_product_param()->set_num_output(5);
  const auto two = make({ctx.get(), second.get()}, p);
  EXPECT_ERROR(two->step(3), "layer 'loss' (SoftmaxWithLoss): label 5");
}

/// Like a GPU that runs out of memory while the other one waits for its gradients.
class FailsOnOneGpu final : public UpdateRule {
 public:
  explicit FailsOnOneGpu(int gpu) : gpu_(gpu) {}
  int history_count() const override { return 1; }
  void update(Context& ctx, const UpdateStep&, const ParameterMemory&) override {
    require(ctx.accelerator()->id() != gpu_, "GPU ", gpu_, " is unwell");
  }
  std::vector<double> squared_norms(Context&,
                                    std::span<const std::span<const float>> ranges) override {
    return std::vector<double>(ranges.size());
  }

 private:
  const int gpu_;
};

TEST_F(SeveralGpus, AnErrorInTheUpdateEndsTheTrainingToo) {
  auto& rules = UpdateRuleRegistry::instance();
  using Rule = std::unique_ptr<UpdateRule>;
  rules.add("Fails0", Device::cuda,
            [](const SolverParameter&) -> Rule { return std::make_unique<FailsOnOneGpu>(0); });
  rules.add("Fails1", Device::cuda,
            [](const SolverParameter&) -> Rule { return std::make_unique<FailsOnOneGpu>(1); });
  for (const int gpu : {0, 1}) {
    const auto two = make({ctx.get(), second.get()},
                          solver(data("batch_size: 4"), "", str("type: 'Fails", gpu, "'")));
#ifdef DOPPIO_EMULATED_CUDA
    const int aborted = cuda::emulated::journal()["NCCL abort"];
#endif
    EXPECT_EQ(error_of([&] { two->step(3); }), str("GPU ", gpu, " is unwell"));
#ifdef DOPPIO_EMULATED_CUDA
    EXPECT_EQ(cuda::emulated::journal()["NCCL abort"] - aborted, 2) << "each once";
#endif
    EXPECT_EQ(error_of([&] { two->step(3); }),
              "the GPUs can no longer train together, because one has failed");
  }
}

}  // namespace
}  // namespace doppio
