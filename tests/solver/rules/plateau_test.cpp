#include "solver/rules/plateau.hpp"

#include <cmath>

#include "solver/log_observer.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/solver_state.hpp"
#include "solver/tiny_net.hpp"
#include "support/log_lines.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr char kPlateau[] = "gamma: 0.5 test_iter: 1 test_interval: 1 ";

/// A solver with lr_policy "plateau" that watches `metric`.
SolverParameter plateau_solver(const std::string& metric, const std::string& more,
                               const std::string& net = tiny_net()) {
  SolverParameter param = tiny_solver(kPlateau + more, net);
  param.set_lr_policy("plateau");
  param.set_plateau_metric(metric);
  if (!param.has_max_iter()) param.set_max_iter(100);
  return param;
}

/// The plateau policy of a solver of the tiny net, after tests with these values.
struct Watching {
  Watching(const std::string& metric, const std::string& more, const std::vector<float>& values)
      : solver(ctx, plateau_solver(metric, more)), plateau(*solver.policy().plateau()) {
    for (const float value : values) see(value, metric);
  }
  void see(float value, const std::string& metric, int net = 0) {
    TestResult result;
    result.net = net;
    result.outputs = {{"other", {value + 9}, 0}, {metric, {value}, 0}};
    plateau.observe(result);
  }
  Context ctx;
  Solver solver;
  Plateau plateau;
};

TEST(Plateau, DropsWhenAnAccuracyHasNotRisen) {
  const std::string patience = "plateau_patience: 2";
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.6f, 0.7f, 0.8f}).plateau.drops(), 0);
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.5f}).plateau.drops(), 0);
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.5f, 0.4f}).plateau.drops(), 1);
  // An improvement restarts the count of tests, and so does a drop.
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.4f, 0.6f, 0.5f}).plateau.drops(), 0);
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.4f, 0.4f, 0.4f}).plateau.drops(), 1);
  EXPECT_EQ(Watching("accuracy", patience, {0.5f, 0.4f, 0.4f, 0.4f, 0.5f}).plateau.drops(), 2);
}

TEST(Plateau, DropsWhenALossHasNotFallen) {
  const std::string patience = "plateau_patience: 1";
  EXPECT_EQ(Watching("loss", patience, {3, 2, 1}).plateau.drops(), 0);
  EXPECT_EQ(Watching("loss", patience, {3, 4}).plateau.drops(), 1);
  EXPECT_EQ(Watching("loss", patience, {3, std::nanf("")}).plateau.drops(), 1);
  EXPECT_EQ(Watching("loss", patience, {std::nanf(""), 3, 2}).plateau.drops(), 1);
}

TEST(Plateau, CountsOnlyMoreThanTheMinimumImprovement) {
  const std::string more = "plateau_patience: 1 plateau_min_improvement: 0.25";
  EXPECT_EQ(Watching("accuracy", more, {0, 0.5f}).plateau.drops(), 0);
  EXPECT_EQ(Watching("accuracy", more, {0, 0.25f}).plateau.drops(), 1);
}

TEST(Plateau, FinishesWhenItMayNotDropAnyMore) {
  Watching w("accuracy", "plateau_patience: 2 plateau_max_drops: 1", {0.5f, 0, 0, 0});
  EXPECT_EQ(w.plateau.drops(), 1);
  EXPECT_FALSE(w.plateau.finished());
  w.see(0, "accuracy", 1);  // other nets are ignored
  EXPECT_FALSE(w.plateau.finished());
  w.see(0, "accuracy");
  EXPECT_TRUE(w.plateau.finished());
  EXPECT_EQ(w.plateau.drops(), 1);
  EXPECT_EQ(w.plateau.reason(), "accuracy has not improved on 0.5 in 2 tests");
}

TEST(Plateau, NamesWhatIsWrong) {
  const auto error = [](const std::string& metric, const std::string& more) {
    return error_of([&] { Watching(metric, more, {}); });
  };
  const std::pair<const char*, const char*> cases[] = {
      {"plateau_patience: 0", "plateau_patience must be at least 1, it is 0"},
      {"plateau_max_drops: -1", "plateau_max_drops must not be negative, it is -1"},
      {"plateau_min_improvement: -1", "plateau_min_improvement must not be negative, it is -1"}};
  for (const auto& [more, message] : cases)
    EXPECT_TRUE(contains(error("loss", more), message)) << error("loss", more);
  EXPECT_TRUE(contains(error("acuracy", ""),
                       "no test net has an output 'acuracy'; there are accuracy, loss; did you "
                       "mean 'accuracy'?"))
      << error("acuracy", "");

  const auto error_in = [](SolverParameter param) {
    Context ctx;
    return error_of([&] { Solver(ctx, param); });
  };
  SolverParameter untested = plateau_solver("loss", "");
  untested.clear_test_iter();
  EXPECT_TRUE(contains(error_in(untested), "lr_policy 'plateau' needs a test net; give test_iter"));
  untested.set_test_interval(0);
  EXPECT_TRUE(contains(error_in(untested), "test_interval must be greater than 0"));
  const std::string more_layers = tiny_net() +
                                  " layer { name: 'p' type: 'Power' bottom: 'ip2' top: 'p' "
                                  "include { phase: TEST } }";
  EXPECT_TRUE(contains(error_in(plateau_solver("p", "", more_layers)),
                       "plateau_metric 'p' comes from a layer of type Power; it must be a loss or "
                       "the top of an Accuracy layer"));
}

/// A net whose loss is constant, because the rate is too small to change any weight.
std::string constant_net() {
  return R"( layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param {
               shape { dim: 2 dim: 3 } shape { dim: 2 }
               data_filler { value: 1 } data_filler { value: 0 } } }
             layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip'
               inner_product_param { num_output: 2 } }
             layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label'
               top: 'loss' } )";
}

TEST(PlateauSolver, DropsThreeTimesAndEnds) {
  SolverParameter param = plateau_solver(
      "loss", "plateau_patience: 2 plateau_max_drops: 3 max_iter: 100", constant_net());
  param.set_base_lr(1e-20f);
  Context ctx;
  Solver solver(ctx, param);
  const auto diary = keep_diary(solver);
  solver.solve();
  // The test of iteration 0 is the best. Those of 2, 4 and 6 do not improve for the second time.
  const float r = 1e-20f;
  const std::vector<float> expected = {r, r, r / 2, r / 2, r / 4, r / 4, r / 8, r / 8};
  EXPECT_EQ(diary->rates, expected);
  EXPECT_EQ(solver.iteration(), 8);
  EXPECT_EQ(diary->tests.size(), 9u);
  EXPECT_TRUE(contains(diary->events, "t0@8 done")) << diary->events;
  EXPECT_FALSE(solver.stopped_early());
}

class PlateauSnapshots : public testing::TestWithParam<const char*> {};

TEST_P(PlateauSnapshots, ContinueBitForBit) {
  const ScratchFolder folder;
  SolverParameter param = plateau_solver(
      "accuracy", str("momentum: 0.9 plateau_patience: 3 plateau_max_drops: 9 max_iter: 40 "
                      "snapshot: 5 snapshot_format: ",
                      GetParam()));
  param.set_test_interval(2);
  param.set_snapshot_prefix(folder / "run");
  const std::string ending =
      str(".solverstate", param.snapshot_format() == SolverParameter::HDF5 ? ".h5" : "");
  Context unbroken_ctx;
  Solver unbroken(unbroken_ctx, param);
  const auto expected = keep_diary(unbroken);
  unbroken.solve();
  ASSERT_GE(unbroken.policy().current_step(), 3);  // otherwise nothing is tested

  int counting = 0;  // snapshots between two drops
  for (const int at : {5, 10, 15, 20, 25, 30, 35}) {
    if (at >= unbroken.iteration()) continue;
    const std::string file = folder / str("run_iter_", at, ending);
    const SolverState state = read_solver_state(file);
    EXPECT_EQ(state.plateau_metric(), "accuracy");
    EXPECT_TRUE(state.has_plateau_best());
    counting += state.plateau_tests() > 0;
    Context ctx;
    Solver resumed(ctx, param);
    const auto actual = keep_diary(resumed);
    resumed.restore(file);
    resumed.solve();
    EXPECT_EQ(resumed.iteration(), unbroken.iteration());
    EXPECT_EQ(memory_of(resumed), memory_of(unbroken));
    const auto rest = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + at, all.end());
    };
    EXPECT_EQ(actual->rates, rest(expected->rates)) << at;
    EXPECT_EQ(actual->losses, rest(expected->losses)) << at;
  }
  EXPECT_GT(counting, 0);
}

INSTANTIATE_TEST_SUITE_P(, PlateauSnapshots, testing::Values("BINARYPROTO", "HDF5"),
                         [](const auto& format) { return std::string(format.param); });

TEST(PlateauSolver, LooksForTheBestAnewWhenItWatchesAnotherMetric) {
  SolverState state;
  Watching("accuracy", "plateau_patience: 2", {0.5f, 0, 0, 0}).plateau.save(state);
  EXPECT_EQ(state.current_step(), 1);
  EXPECT_EQ(state.plateau_tests(), 1);
  Watching same("accuracy", "plateau_patience: 2", {}), other("loss", "plateau_patience: 2", {});
  const Lines lines;
  same.plateau.restore(state);
  EXPECT_EQ(lines.all(), "");
  other.plateau.restore(state);
  EXPECT_TRUE(
      contains(lines.all(),
               "The snapshot watched accuracy: plateau_metric loss starts without a best value"))
      << lines.all();
  EXPECT_EQ(other.plateau.drops(), 1);
  other.see(3, "loss");  // worse than 0.5, but the first of this metric
  other.see(4, "loss");
  EXPECT_EQ(other.plateau.drops(), 1);
  same.see(0, "accuracy");
  EXPECT_EQ(same.plateau.drops(), 2);
  // A state without a metric name is assumed to have the same metric.
  state.clear_plateau_metric();
  other.plateau.restore(state);
  other.see(3, "loss");
  EXPECT_EQ(other.plateau.drops(), 2);
}

TEST(PlateauSolver, RefusesAnOutputOfTwoTestNets) {
  SolverParameter param = plateau_solver("accuracy", "");
  param.add_test_iter(1);
  Context ctx;
  EXPECT_ERROR(Solver(ctx, param),
               "plateau_metric 'accuracy' is an output of the test nets #0 and #1; rename "
               "the top in one of them, so that it is clear which one to watch");
}

TEST(PlateauSolver, RefusesASnapshotThatDroppedMoreOften) {
  SolverState state;
  state.set_current_step(4);
  Watching w("accuracy", "plateau_max_drops: 3", {});
  EXPECT_EQ(error_of([&] { w.plateau.restore(state); }),
            "the snapshot's learning rate has dropped 4 times, but plateau_max_drops is 3; raise "
            "plateau_max_drops");
}

TEST(PlateauSolver, LogsDropsAndTheEnd) {
  SolverParameter param = plateau_solver(
      "loss", "plateau_patience: 1 plateau_max_drops: 1 max_iter: 9", constant_net());
  param.set_base_lr(1e-20f);
  Context ctx;
  const Lines lines;
  Solver solver(ctx, param);
  solver.add_observer(make_log_observer());
  solver.solve();
  for (const char* line :
       {"Plateau watches loss of test net #0, which is to fall\n",
        "Learning Rate Policy: plateau\n",
        "Plateau Status: Iteration 1, step = 1, lr = 5e-21: loss has not improved on 0.693147 in 1 "
        "tests\n",
        "Plateau Status: Iteration 2, training ends: loss has not improved on 0.693147 in 1 "
        "tests\n",
        "Optimization Done.\n"})
    EXPECT_TRUE(contains(lines.all(), line)) << line << lines.all();
}

}  // namespace
}  // namespace doppio
