// Training of a net that is split over several devices comes to what training on one comes to.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/peers.hpp"
#include "cuda/records.hpp"
#include "distributed/on_ranks.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "net/format/blob_io.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/read_solver.hpp"
#include "solver/solver_state.hpp"
#include "solver/tiny_net.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Fails on part 1, while the others continue.
class FailsOnPart1 final : public Layer {
 public:
  explicit FailsOnPart1(const LayerParameter&) {}
  void reshape(Context&, Bottoms bottom, Tops top) override {
    top[0]->reshape(bottom[0]->shape());
    top[0]->data.share(bottom[0]->data);
  }
  void forward(Context& ctx, Bottoms, Tops) override {
    require(!ctx.peers || ctx.peers->part() != 1, "part 1 is unwell");
  }
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "FailsOnPart1", FailsOnPart1, .splits_channels = true);

/// Small, but with all that AlexNet has. The whole layer before the range learns, too.
std::string small_alexnet(const std::string& more = "") {
  return R"(name: "small"
    layer { name: "data" type: "TestSource" top: "data" top: "label" dummy_data_param { num: 4 } }
    layer { name: "image" type: "InnerProduct" bottom: "data" top: "image"
            inner_product_param { num_output: 108 weight_filler { type: "xavier" } } }
    layer { name: "shape" type: "Reshape" bottom: "image" top: "shape"
            reshape_param { shape { dim: 0 dim: 3 dim: 6 dim: 6 } } }
    layer { name: "conv1" type: "Convolution" bottom: "shape" top: "conv1"
            convolution_param { num_output: 16 kernel_size: 3 pad: 1
                                weight_filler { type: "xavier" } } }
    layer { name: "norm0" type: "BatchNorm" bottom: "conv1" top: "conv1" }
    layer { name: "scale0" type: "Scale" bottom: "conv1" top: "conv1"
            scale_param { bias_term: true } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
            lrn_param { local_size: 3 group: 2 } }
    layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
            pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 3 group: 2
                                weight_filler { type: "xavier" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" })" +
         more + R"(
    layer { name: "fc3" type: "InnerProduct" bottom: "conv2" top: "fc3"
            inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
    layer { name: "relu3" type: "ReLU" bottom: "fc3" top: "fc3" }
    layer { name: "drop3" type: "Dropout" bottom: "fc3" top: "fc3" }
    layer { name: "fc4" type: "InnerProduct" bottom: "fc3" top: "fc4"
            inner_product_param { num_output: 8 transpose: true
                                  weight_filler { type: "xavier" } } }
    layer { name: "accuracy" type: "Accuracy" bottom: "fc4" bottom: "label" top: "accuracy"
            include { phase: TEST } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc4" bottom: "label" top: "loss" })";
}

std::string split_into(int parts, const std::string& net = small_alexnet()) {
  return net +
         str(" model_parallel { layer_from: 'conv1' layer_to: 'fc4' model_parts: ", parts, " }");
}

/// The same with data from an LMDB, whose batches can be divided.
std::string with_database(std::string net, const std::string& source) {
  const std::string test_source =
      R"(type: "TestSource" top: "data" top: "label" dummy_data_param { num: 4 })";
  return net.replace(net.find(test_source), test_source.size(),
                     R"(type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
                        data_param { backend: LMDB batch_size: 4 source: ")" +
                         source + "\" }");
}

class SplitSolver : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { write_records(folder / "db", 26, 6, 26); }

  /// A solver with as many devices as the net has parts, or, on the CPU, one context.
  struct Run {
    std::vector<std::unique_ptr<Context>> contexts;
    std::unique_ptr<Solver> solver;
    std::shared_ptr<Diary> diary;
    Solver* operator->() const { return solver.get(); }
  };

  Run make(const std::string& more, const std::string& net, int devices, bool reference = false) {
    Run run;
    std::vector<Context*> contexts;
    for (int d = 0; d < (GetParam() == Device::cpu ? 1 : devices); ++d) {
      run.contexts.push_back(GetParam() == Device::cpu
                                 ? std::make_unique<Context>()
                                 : std::make_unique<Context>(open_accelerator(0)));
      run.contexts.back()->reference = reference;
      contexts.push_back(run.contexts.back().get());
    }
    run.solver = std::make_unique<Solver>(contexts, source(more, net, str("run", ++runs)));
    run.solver->save_memory();
    run.diary = keep_diary(*run.solver);
    return run;
  }
  SourcedSolver source(const std::string& more, const std::string& net,
                       const std::string& prefix) const {
    SourcedSolver source;
    source.param = tiny_solver("momentum: 0.9 weight_decay: 0.01 " + more, net);
    source.param.set_snapshot_prefix(folder / prefix);
    return source;
  }
  Run split(const std::string& more = "") { return make(more, split_into(2), 2); }
  Run whole(const std::string& more = "") { return make(more, split_into(1), 1); }

  /// Trains in several processes, here threads: copies of
  /// the net, in `parts` parts each. Returns the snapshot and all ranks' diaries.
  struct Outcome {
    std::string state;
    std::vector<std::shared_ptr<Diary>> diaries;
  };
  Outcome train_ranks(int ranks, const std::string& more, int iterations,
                      const std::string& resume = {}, int parts = 2) {
    const std::string net = with_database(split_into(parts), folder / "db");
    const std::string prefix = str("run", ++runs);
    Outcome outcome;
    outcome.diaries.resize(static_cast<std::size_t>(ranks));
    on_ranks(ranks, [&](const std::shared_ptr<ProcessGroup>& group) {
      Context ctx = GetParam() == Device::cpu ? Context() : Context(open_accelerator(0));
      Context* const contexts[] = {&ctx};
      Solver solver(contexts, source(more, net, prefix), group);
      outcome.diaries[static_cast<std::size_t>(group->rank())] = keep_diary(solver);
      if (!resume.empty()) solver.restore(resume);
      solver.step(iterations);
      const std::string state = solver.snapshot();
      if (group->rank() == 0) outcome.state = state;
    });
    return outcome;
  }

  /// The weights and history in a snapshot of the run.
  struct Memory {
    NetParameter net;
    SolverState state;
  };
  static Memory memory(const std::string& state_file) {
    Memory memory;
    memory.state = read_solver_state(state_file);
    EXPECT_TRUE(parse_binary_file(memory.state.learned_net(), memory.net));
    memory.state.clear_learned_net();
    memory.state.clear_learned_net_sha256();
    memory.state.clear_recent_loss();
    return memory;
  }
  static Memory memory(const Run& run) { return memory(run->snapshot()); }

  template <class Blobs>
  static void take_values(Blobs* blobs, std::vector<float>& into) {
    for (BlobProto& blob : *blobs) {
      for (const auto* field : {blob.mutable_data(), blob.mutable_diff()})
        into.insert(into.end(), field->begin(), field->end());
      blob.clear_data();
      blob.clear_diff();
    }
  }
  /// Returns all values and removes them.
  static std::vector<float> take_values(Memory& memory) {
    std::vector<float> all;
    for (LayerParameter& layer : *memory.net.mutable_layer())
      take_values(layer.mutable_blobs(), all);
    take_values(memory.state.mutable_history(), all);
    return all;
  }

  /// Expects files that are the same but for rounding. `tolerance` is relative above 1.
  static void expect_near(Memory a, Memory b, float tolerance) {
    const std::vector<float> x = take_values(a), y = take_values(b);
    EXPECT_EQ(a.net.DebugString(), b.net.DebugString());
    EXPECT_EQ(a.state.DebugString(), b.state.DebugString());
    ASSERT_EQ(x.size(), y.size());
    float largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      largest = std::max(largest, std::abs(x[i] - y[i]) / std::max(1.0f, std::abs(y[i])));
    EXPECT_LE(largest, tolerance);
  }

  ScratchFolder folder;
  int runs = 0;
};
INSTANTIATE_TEST_SUITE_P(Devices, SplitSolver, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SplitSolver, LearnsWhatTheWholeNetLearns) {
  for (const char* more : {"", "iter_size: 2", "clip_gradients: 0.5", "snapshot_diff: true"}) {
    SCOPED_TRACE(more);
    const Run two = split(more), one = whole(more);
    expect_near(memory(two), memory(one), 0);
    two->step(10);
    one->step(10);
    ASSERT_EQ(two.diary->losses.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i)
      EXPECT_NEAR(two.diary->losses[i], one.diary->losses[i], 1e-5f) << "iteration " << i;
    ASSERT_EQ(two.diary->norms.size(), one.diary->norms.size());
    for (std::size_t i = 0; i < one.diary->norms.size(); ++i)
      EXPECT_NEAR(two.diary->norms[i], one.diary->norms[i], 1e-5f * one.diary->norms[i]);
    expect_near(memory(two), memory(one), 1e-6f);
  }
}

TEST_P(SplitSolver, AnyNumberOfPartsLearnsTheSame) {
  const std::string fully_connected =
      small_alexnet() + " model_parallel { layer_from: 'fc3' layer_to: 'fc3' model_parts: 5 }";
  const Run five = make("", fully_connected, 5), one = whole();
  five->step(10);
  one->step(10);
  expect_near(memory(five), memory(one), 1e-6f);
  EXPECT_EQ(five->ranks(), 5);
  EXPECT_EQ(five->net(4).layer("fc3").layer->params[0].shape(), (Shape{2, 8}));
}

TEST_P(SplitSolver, TestsWithTheWeightsOfAllParts) {
  const std::string tests = "test_iter: 3 test_interval: 4 test_compute_loss: true ";
  const Run two = split(tests), one = whole(tests);
  two->step(9);
  one->step(9);
  ASSERT_EQ(two.diary->tests.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const TestResult &a = two.diary->tests[i], &b = one.diary->tests[i];
    EXPECT_NEAR(a.loss, b.loss, 1e-5f);
    ASSERT_EQ(a.outputs.size(), b.outputs.size());
    for (std::size_t o = 0; o < a.outputs.size(); ++o) {
      EXPECT_EQ(a.outputs[o].blob, b.outputs[o].blob);
      EXPECT_NEAR(a.outputs[o].values[0], b.outputs[o].values[0], 1e-5f);
    }
  }
}

TEST_P(SplitSolver, ResumesBitForBit) {
  const Run all = split();
  all->step(4);
  const std::string state = all->snapshot();
  all->step(3);
  const Run resumed = split();
  resumed->restore(state);
  resumed->step(3);
  expect_near(memory(resumed), memory(all), 0);
}

TEST_P(SplitSolver, ResumesWithAnotherNumberOfParts) {
  const Run two = split(), one = whole();
  two->step(4);
  one->step(4);
  const Run from_two = whole(), from_one = split();
  from_two->restore(two->snapshot());
  from_one->restore(one->snapshot());
  one->step(5);
  from_two->step(5);
  from_one->step(5);
  expect_near(memory(from_two), memory(one), 2e-6f);
  expect_near(memory(from_one), memory(one), 2e-6f);
}

TEST_P(SplitSolver, LearnsInSeveralProcessesWhatTheWholeNetLearns) {
  // BatchNorm normalizes with the statistics of a shard, so only one copy is compared with it.
  for (const char* more : {"", "iter_size: 2", "clip_gradients: 0.5", "local_lr_auto: true",
                           "snapshot_diff: true", "test_iter: 3 test_interval: 4"}) {
    SCOPED_TRACE(more);
    const Run one = make(more, with_database(split_into(1), folder / "db"), 1);
    one->step(10);
    const Outcome two = train_ranks(2, more, 10);
    expect_near(memory(two.state), memory(one), 1e-6f);
    for (const auto& diary : two.diaries) {
      ASSERT_EQ(diary->losses.size(), 10u);
      for (std::size_t i = 0; i < 10; ++i)
        EXPECT_NEAR(diary->losses[i], one.diary->losses[i], 1e-5f) << "iteration " << i;
      ASSERT_EQ(diary->tests.size(), one.diary->tests.size());
      for (std::size_t i = 0; i < diary->tests.size(); ++i)
        EXPECT_NEAR(diary->tests[i].outputs[0].values[0], one.diary->tests[i].outputs[0].values[0],
                    1e-5f);
    }
  }
}

TEST_P(SplitSolver, LearnsInCopiesWhatTheWholeNetLearns) {
  for (const char* more : {"", "iter_size: 2", "clip_gradients: 0.5", "local_lr_auto: true",
                           "test_iter: 3 test_interval: 4"}) {
    SCOPED_TRACE(more);
    const Outcome unsplit = train_ranks(2, more, 10, {}, 1), four = train_ranks(4, more, 10);
    expect_near(memory(four.state), memory(unsplit.state), 1e-6f);
    for (const auto& diary : four.diaries) {
      EXPECT_EQ(diary->losses, four.diaries[0]->losses);
      ASSERT_EQ(diary->tests.size(), unsplit.diaries[0]->tests.size());
      for (std::size_t i = 0; i < diary->tests.size(); ++i)
        EXPECT_NEAR(diary->tests[i].outputs[0].values[0],
                    unsplit.diaries[0]->tests[i].outputs[0].values[0], 1e-5f);
    }
  }
}

TEST_P(SplitSolver, ResumesInAnyGrid) {
  const Run one = make("", with_database(split_into(1), folder / "db"), 1);
  one->step(4);
  const std::string state = one->snapshot();
  one->step(3);
  const Outcome two = train_ranks(2, "", 3, state);
  expect_near(memory(two.state), memory(one), 2e-6f);

  const std::string of_four = train_ranks(4, "", 4).state;
  const Outcome all = train_ranks(4, "", 7), resumed = train_ranks(4, "", 3, of_four);
  expect_near(memory(resumed.state), memory(all.state), 0);
}

TEST_P(SplitSolver, StartsFromTheWeightsOfTheWholeNet) {
  const Run one = whole();
  one->step(3);
  const std::string state = one->snapshot();
  const Run two = split("test_iter: 1 test_interval: 10 ");
  NetParameter changed = memory(state).net;
  const std::string file = folder / "changed.caffemodel";
  // A file without one of the layers, which keeps its weights.
  for (int i = 0; i < changed.layer_size(); ++i)
    if (changed.layer(i).name() == "fc3") changed.mutable_layer(i)->set_name("other");
  write_message(file, changed);
  const Memory before = memory(two);
  const auto copied = two->load_weights(file);
  const auto outcome = [&](const std::string& layer) {
    return std::find_if(copied.begin(), copied.end(),
                        [&](const CopiedLayer& c) { return c.name == layer; })
        ->outcome;
  };
  EXPECT_EQ(outcome("conv1"), CopiedLayer::Outcome::loaded);
  EXPECT_EQ(outcome("fc3"), CopiedLayer::Outcome::fresh);
  Memory after = memory(two), of_file = memory(state);
  for (int i = 0; i < after.net.layer_size(); ++i)
    for (int b = 0; b < after.net.layer(i).blobs_size(); ++b) {
      const LayerParameter& l = after.net.layer(i);
      const NetParameter& source = l.name() == "fc3" ? before.net : of_file.net;
      EXPECT_EQ(l.blobs(b).SerializeAsString(), source.layer(i).blobs(b).SerializeAsString())
          << l.name();
    }
}

TEST_P(SplitSolver, TheFailureOfAPartEndsTheTraining) {
  const std::string fails =
      " layer { name: 'fails' type: 'FailsOnPart1' bottom: 'conv2' top: 'conv2b' }"
      " layer { name: 'silence' type: 'Silence' bottom: 'conv2b' }";
  const Run two = make("", split_into(2, small_alexnet(fails)), 2);
  EXPECT_ERROR(two->step(1), "layer 'fails' (FailsOnPart1): part 1 is unwell");
  EXPECT_ERROR(two->step(1), "");
}

TEST(SplitSolverErrors, NameWhatCannotBeSplitOverProcesses) {
  on_ranks(3, [](const std::shared_ptr<ProcessGroup>& group) {
    const auto error = [&](const std::string& more, int parts) {
      return error_of([&] {
        Context ctx;
        Context* const contexts[] = {&ctx};
        SourcedSolver source;
        source.param = tiny_solver(more, split_into(parts));
        Solver solver(contexts, std::move(source), group);
      });
    };
    EXPECT_EQ(
        error("", 2),
        "model_parts 2 needs as many processes or a multiple, not 3; change mpirun -n, or set "
        "it to 1");
  });
}

TEST(SplitSolverErrors, NameModelParts) {
  Context a, b;
  const auto error = [&](const std::string& net, std::vector<Context*> contexts) {
    return error_of([&] {
      SourcedSolver source;
      source.param = tiny_solver("", net);
      Solver solver(contexts, std::move(source));
    });
  };
  EXPECT_EQ(error(split_into(0), {&a}), "model_parts must be from 1 to 1024, it is 0");
  EXPECT_EQ(
      error(split_into(4), {&a, &b}),
      "model_parts 4 needs as many GPUs or a multiple, not 2; name them with --gpu, or set it "
      "to 1");
}

}  // namespace
}  // namespace doppio
