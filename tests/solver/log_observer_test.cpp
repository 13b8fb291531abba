#include "solver/log_observer.hpp"

#include <gtest/gtest.h>

#include <regex>

#include "data/storage/hdf5.hpp"
#include "solver/tiny_net.hpp"
#include "support/log_lines.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Returns the log of training, with "?" for numbers that are not integers.
std::vector<std::string> log_of(const SolverParameter& param) {
  Context ctx;
  Solver solver(ctx, param);
  solver.add_observer(make_log_observer());
  Lines log;
  solver.solve();
  for (std::string& line : log.lines) {
    line = std::regex_replace(line, std::regex("[0-9.]+(e[-+][0-9]+)? iter/s, [0-9.]+(e-[0-9]+)?s"),
                              "? iter/s, ?s");
    line = std::regex_replace(line, std::regex("[0-9]+\\.[0-9]+"), "?");
  }
  return log.lines;
}

TEST(LogObserver, WritesTheLinesThatParsersRead) {
  SolverParameter param = tiny_solver("max_iter: 2 display: 2 test_iter: 1 test_interval: 2");
  param.set_base_lr(0.25);
  const std::vector<std::string> expected = {
      "Solving tiny",
      "Learning Rate Policy: fixed",
      "Iteration 0, Testing net (#0)",
      "    Test net output #0: accuracy = ?",
      "    Test net output #1: loss = ? (* 1 = ? loss)",
      "Iteration 0 (? iter/s, ?s/2 iters), loss = ?",
      "    Train net output #0: loss = ? (* 1 = ? loss)",
      "Iteration 0, lr = ?",
      "Iteration 2, loss = ?",
      "Iteration 2, Testing net (#0)",
      "    Test net output #0: accuracy = ?",
      "    Test net output #1: loss = ? (* 1 = ? loss)",
      "Optimization Done.",
  };
  std::vector<std::string> actual = log_of(param);
  for (std::string& line : actual)  // an accuracy of 0 or 1 has no decimal point
    line = std::regex_replace(line, std::regex("accuracy = [01]$"), "accuracy = ?");
  EXPECT_EQ(actual, expected);
}

TEST(LogObserver, TellsOfStepsClippingAndTestLoss) {
  SolverParameter param = tiny_solver(
      "max_iter: 2 gamma: 0.5 stepvalue: 1 clip_gradients: 0.001 test_iter: 1 test_interval: 9 "
      "test_compute_loss: true");
  param.set_lr_policy("multistep");
  const std::vector<std::string> lines = log_of(param);
  const auto count = [&](const std::string& line) {
    return std::count(lines.begin(), lines.end(), line);
  };
  EXPECT_EQ(count("MultiStep Status: Iteration 1, step = 1"), 1);
  EXPECT_EQ(count("Gradient clipping: scaling down gradients (L2 norm ? > ?) by scale factor ?"),
            2);
  EXPECT_EQ(count("Test loss: ?"), 1);
}

TEST(LogObserver, NamesSnapshots) {
  const ScratchFolder folder;
  SolverParameter param = tiny_solver("max_iter: 1 snapshot: 1");
  param.set_snapshot_prefix(folder / "a");
  std::vector<std::string> lines = log_of(param);
  EXPECT_EQ(lines[2], "Snapshotting to binary proto file " + folder / "a_iter_1.caffemodel");
  EXPECT_EQ(lines[3],
            "Snapshotting solver state to binary proto file " + folder / "a_iter_1.solverstate");
  if (!built_with_hdf5()) return;
  param.set_snapshot_format(SolverParameter::HDF5);
  lines = log_of(param);
  EXPECT_EQ(lines[2], "Snapshotting to HDF5 file " + folder / "a_iter_1.caffemodel.h5");
  EXPECT_EQ(lines[3],
            "Snapshotting solver state to HDF5 file " + folder / "a_iter_1.solverstate.h5");
}

TEST(LogObserver, SaysWhenAStopWasEarly) {
  Context ctx;
  Solver solver(ctx, tiny_solver("max_iter: 5"));
  solver.add_observer(make_log_observer());
  solver.set_action_source([] { return SolverAction::stop; });
  Lines log;
  solver.solve();
  EXPECT_EQ(log.lines.back(), "Optimization stopped early.");
}

TEST(SolverLog, ShowsDebugInfoInDisplayIterationsOnly) {
  Context ctx;
  Solver solver(ctx, tiny_solver("display: 2 debug_info: true"));
  for (const bool shown : {true, false, true}) {
    const Lines log;
    solver.step(1);
    EXPECT_EQ(contains(log.all(), "[Forward]"), shown);
    EXPECT_EQ(contains(log.all(), "[Backward]"), shown);
  }
}

TEST(SolverLog, TellsTheSeedThatItChose) {
  SolverParameter param = tiny_solver("");
  param.set_random_seed(-1);
  Context ctx;
  const Lines log;
  Solver solver(ctx, param);
  EXPECT_TRUE(contains(log.all(), str("random_seed: ", ctx.seed, " repeats this run")));
}

TEST(SolverLog, WarnsOfAMissingBaseLr) {
  SolverParameter param = tiny_solver("");
  param.clear_base_lr();
  Context ctx;
  const Lines log;
  Solver solver(ctx, param);
  EXPECT_TRUE(contains(log.all(), "base_lr is not set"));
}

TEST(LogObserver, WarnsOnceOfASaturatedSoftmax) {
  Context ctx;
  Solver solver(ctx, tiny_solver("display: 1"));
  const auto observer = make_log_observer();
  Lines log;
  for (int i = 0; i < 2; ++i) observer->on_iteration(solver, i, 87.33654f, 0.1f);
  int warnings = 0;
  for (const std::string& line : log.lines) warnings += contains(line, "training has diverged");
  EXPECT_EQ(warnings, 1);
}

}  // namespace
}  // namespace doppio
