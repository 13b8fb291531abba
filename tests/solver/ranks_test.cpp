// Solvers of several processes; here each is a thread.
#include <gtest/gtest.h>

#include "cuda/records.hpp"
#include "distributed/on_ranks.hpp"
#include "doppio/solver.hpp"
#include "net/passes/passes.hpp"
#include "solver/read_solver.hpp"
#include "solver/solver_text.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// What a run leads to.
struct Outcome {
  std::vector<float> memory;  // weights and history
  std::vector<float> losses, tests;
};

struct Recorder final : SolverObserver {
  Outcome outcome;
  void on_iteration(Solver&, int, float loss, float) override { outcome.losses.push_back(loss); }
  void on_test(Solver&, const TestResult& result) override {
    outcome.tests.push_back(result.loss);
    for (const TestResult::Output& output : result.outputs)
      outcome.tests.insert(outcome.tests.end(), output.values.begin(), output.values.end());
  }
};

class SolverRanks : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (GetParam() == Device::cuda && list_accelerators().size() < 2)
      GTEST_SKIP() << "this machine has one GPU";
    write_records(folder / "db", 26, 9, 26);
  }

  /// Parameters in two groups: those of `fc` are many.
  SourcedSolver solver(const std::string& more) const {
    const auto data = [&](const char* phase, int batch, const char* options) {
      return str(
          "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: ", phase,
          " } data_param { backend: LMDB source: '", folder / "db", "' batch_size: ", batch,
          " } transform_param { crop_size: 7 scale: 0.01 ", options, " } } ");
    };
    SourcedSolver source;
    source.param =
        solver_param("net_param { " + data("TRAIN", 6, "mirror: true") + data("TEST", 4, "") + R"(
          layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv' convolution_param {
                  num_output: 4 kernel_size: 3 weight_filler { type: 'xavier' } } }
          layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }
          layer { name: 'drop' type: 'Dropout' bottom: 'conv' top: 'conv' }
          layer { name: 'fc' type: 'InnerProduct' bottom: 'conv' top: 'fc' inner_product_param {
                  num_output: 2700 weight_filler { type: 'xavier' } } }
          layer { name: 'accuracy' type: 'Accuracy' bottom: 'fc' bottom: 'label' top: 'accuracy'
                  include { phase: TEST } }
          layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' top: 'loss' }
        } base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.01 random_seed: 1
        display: 2 snapshot_after_train: false test_iter: 5 test_interval: 3 snapshot_prefix: ')" +
                     str(folder / "snapshot") + "' " + more);
    return source;
  }

  std::unique_ptr<Context> context(int rank) const {
    if (GetParam() == Device::cpu) return std::make_unique<Context>();
    return std::make_unique<Context>(open_accelerator(rank));
  }

  Outcome train(Solver& solver, int iterations, const std::string& resume = {}) const {
    const auto recorder = std::make_shared<Recorder>();
    if (!resume.empty()) solver.restore(resume);
    solver.add_observer(recorder);
    solver.step(iterations);
    Outcome outcome = recorder->outcome;
    for (const Parameter& p : solver.net().parameters())
      for (const float v : values(p.blob->data)) outcome.memory.push_back(v);
    return outcome;
  }

  /// Trains on one rank. Returns its weights.
  Outcome one_process(const std::string& more, int iterations) const {
    const std::unique_ptr<Context> ctx = context(0);
    Solver one(*ctx, solver(more));
    return train(one, iterations);
  }

  /// Trains on several ranks, of which the first writes a snapshot at the end if `saves`. Returns
  /// the outcome of each.
  std::vector<Outcome> together(int ranks, const std::string& more, int iterations,
                                const std::string& resume = {}, bool saves = false) const {
    std::vector<Outcome> outcomes(static_cast<std::size_t>(ranks));
    on_ranks(ranks, [&](const std::shared_ptr<ProcessGroup>& group) {
      const std::unique_ptr<Context> ctx = context(group->rank());
      Context* const contexts[] = {ctx.get()};
      Solver one(contexts, solver(more), group);
      outcomes[static_cast<std::size_t>(group->rank())] = train(one, iterations, resume);
      if (saves) one.snapshot();
    });
    return outcomes;
  }

  static void expect_near(const std::vector<float>& actual, const std::vector<float>& expected,
                          float tolerance) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
  }

  ScratchFolder folder;
};

INSTANTIATE_TEST_SUITE_P(Devices, SolverRanks, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(SolverRanks, LearnWhatOneWouldLearn) {
  for (const char* more : {"", "iter_size: 2", "clip_gradients: 0.1", "local_lr_auto: true",
                           "type: 'Nesterov'", "layer_wise_reduce: false", "type: 'AdaDelta'"}) {
    SCOPED_TRACE(more);
    const Outcome one = one_process(more, 5);
    const std::vector<Outcome> two = together(2, more, 5);
    expect_near(two[0].memory, one.memory, 2e-6f);
    expect_near(two[0].losses, one.losses, 2e-5f);
    EXPECT_EQ(two[1].memory, two[0].memory);
    EXPECT_EQ(two[1].losses, two[0].losses);
    EXPECT_EQ(two[1].tests, two[0].tests);
    ASSERT_EQ(two[0].tests.size(), one.tests.size());
    // Before the first iteration, the weights are the same.
    for (std::size_t i = 0; i < one.tests.size() / 2; ++i) EXPECT_EQ(two[0].tests[i], one.tests[i]);
  }
}

TEST_P(SolverRanks, AllHaveTheSameWeightsWithRoundedGradients) {
  const std::vector<Outcome> two = together(2, "gradient_type: BFLOAT16", 5);
  EXPECT_EQ(two[1].memory, two[0].memory);
  expect_near(two[0].memory, one_process("", 5).memory, 1e-3f);
}

TEST_P(SolverRanks, ResumeWithAnyNumber) {
  const std::vector<Outcome> whole = together(2, "", 6);
  together(2, "", 4, {}, true);
  const std::string state = folder / "snapshot_iter_4.solverstate";
  const std::vector<Outcome> resumed = together(2, "", 2, state);
  if (GetParam() == Device::cpu) {
    EXPECT_EQ(resumed[0].memory, whole[0].memory);
  }
  EXPECT_EQ(resumed[1].memory, resumed[0].memory);
  const int others = GetParam() == Device::cpu ? 3 : 1;  // a machine may have two GPUs
  expect_near(together(others, "", 2, state)[0].memory, whole[0].memory, 2e-6f);
}

}  // namespace
}  // namespace doppio
