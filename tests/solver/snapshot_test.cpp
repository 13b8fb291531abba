#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "data/storage/hdf5.hpp"
#include "io/atomic_file.hpp"
#include "io/input_file.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/solver_state.hpp"
#include "solver/tiny_net.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

const char kFull[] =
    " momentum: 0.9 weight_decay: 0.01 iter_size: 2 average_loss: 4 max_iter: 10 snapshot: 5 "
    "test_iter: 3 test_interval: 2 ";

SolverParameter snapshotting(const ScratchFolder& folder, const std::string& more) {
  SolverParameter param = tiny_solver(more);
  param.set_snapshot_prefix(folder / "run");
  return param;
}

void expect_same_tests(const std::vector<TestResult>& all, const std::vector<TestResult>& last) {
  ASSERT_FALSE(last.empty());
  ASSERT_GE(all.size(), last.size());
  for (std::size_t i = 0; i < last.size(); ++i)
    EXPECT_EQ(all[all.size() - last.size() + i].loss, last[i].loss) << i;
}

// ---- Train 10 == train 5, snapshot, restore, 5 ----

class Resume : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Rules, Resume,
                         testing::Values("type: 'SGD'", "type: 'Nesterov'", "type: 'AdaDelta'",
                                         "type: 'Adam'", "type: 'SGD' snapshot_format: HDF5",
                                         "type: 'Adam' snapshot_format: HDF5"));

TEST_P(Resume, ContinuesBitForBit) {
  const bool hdf5 = contains(GetParam(), "HDF5");
  if (hdf5 && !built_with_hdf5()) GTEST_SKIP() << "built without HDF5";
  const ScratchFolder folder;
  SolverParameter param = snapshotting(folder, kFull + std::string(GetParam()));
  Context unbroken_ctx, resumed_ctx;
  Solver unbroken(unbroken_ctx, param);
  const auto expected = keep_diary(unbroken);
  unbroken.solve();

  param.set_random_seed(1234);  // the snapshot's seed replaces this one
  Solver resumed(resumed_ctx, param);
  const auto actual = keep_diary(resumed);
  resumed.restore(folder / (hdf5 ? "run_iter_5.solverstate.h5" : "run_iter_5.solverstate"));
  EXPECT_EQ(resumed.iteration(), 5);
  resumed.solve();

  EXPECT_EQ(memory_of(unbroken), memory_of(resumed));
  ASSERT_EQ(actual->losses.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(expected->losses[5 + i], actual->losses[i]) << i;
  expect_same_tests(expected->tests, actual->tests);
}

TEST(Snapshot, ContinuesAMultistepPolicy) {
  const ScratchFolder folder;
  SolverParameter param = snapshotting(folder, "snapshot: 2 gamma: 0.5 stepvalue: 1 stepvalue: 3");
  param.set_lr_policy("multistep");
  Context ctx, resumed_ctx;
  Solver solver(ctx, param), resumed(resumed_ctx, param);
  const auto expected = keep_diary(solver), actual = keep_diary(resumed);
  solver.step(5);
  resumed.restore(folder / "run_iter_2.solverstate");
  resumed.step(3);
  EXPECT_EQ(std::vector<float>(expected->rates.begin() + 2, expected->rates.end()), actual->rates);
}

TEST(Snapshot, OfAStopInsideATestContinuesBitForBit) {
  const ScratchFolder folder;
  const SolverParameter param = snapshotting(folder, kFull);
  Context unbroken_ctx, stopped_ctx, resumed_ctx;
  Solver unbroken(unbroken_ctx, param), stopped(stopped_ctx, param), resumed(resumed_ctx, param);
  const auto expected = keep_diary(unbroken), actual = keep_diary(resumed);
  unbroken.solve();
  // Polls 1-3: the test at 0; 4, 5: two iterations; 6: the test at 2.
  stopped.set_action_source([n = 0]() mutable {
    return ++n == 7 ? SolverAction::snapshot_and_stop : SolverAction::none;
  });
  stopped.solve();
  ASSERT_EQ(stopped.iteration(), 2);
  resumed.restore(folder / "run_iter_2.solverstate");
  resumed.solve();
  EXPECT_EQ(memory_of(unbroken), memory_of(resumed));
  expect_same_tests(expected->tests, actual->tests);
}

TEST(Snapshot, ReadsCaffesOwnStatesAndStartsTheirDataAgain) {
  const ScratchFolder folder;
  const SolverParameter param = snapshotting(folder, "snapshot: 2");
  Context ctx;
  Solver solver(ctx, param);
  solver.step(2);
  SolverState ours = read_solver_state(folder / "run_iter_2.solverstate"), caffes;
  caffes.set_iter(ours.iter());
  caffes.set_learned_net(ours.learned_net());
  *caffes.mutable_history() = ours.history();
  write_solver_state(folder / "caffe.solverstate", caffes);

  const std::vector<float> expected = memory_of(solver);
  solver.step(1);
  solver.restore(folder / "caffe.solverstate");
  EXPECT_EQ(memory_of(solver), expected);
  EXPECT_EQ(solver.iteration(), 2);
  EXPECT_EQ(solver.net().layers()[0].layer->cursor().records, 0u);
  EXPECT_EQ(solver.net().passes(), 2u);
}

TEST(Snapshot, HoldsGradientsIfAsked) {
  const ScratchFolder folder;
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1 snapshot_diff: true"));
  solver.step(1);
  NetParameter net;
  ASSERT_TRUE(parse_binary_file(folder / "run_iter_1.caffemodel", net));
  const std::vector<float> grad = values(solver.net().parameters()[0].blob->grad);
  const auto& diff = net.layer(1).blobs(0).diff();
  EXPECT_EQ(std::vector<float>(diff.begin(), diff.end()), grad);
}

/// Copies run_iter_1 as `stem` to one of the folders.
void copy_snapshot(const ScratchFolder& folder, const std::string& stem) {
  for (const char* ending : {".caffemodel", ".solverstate"}) {
    fs::create_directories(fs::path(folder / stem).parent_path());
    fs::copy(folder / "run_iter_1" + ending, folder / stem + ending);
  }
}

class Copies : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Names, Copies, testing::Values("keep/run_iter_1", "keep/best", "best"));

TEST_P(Copies, WeightsBesideTheStateComeFirst) {
  const ScratchFolder folder;
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1"));
  solver.step(1);
  const std::vector<float> expected = memory_of(solver);
  copy_snapshot(folder, GetParam());
  SolverParameter other = snapshotting(folder, "snapshot: 1");
  other.set_random_seed(8);
  Solver(ctx, other).step(1);  // overwrites the recorded path

  solver.step(1);
  solver.restore(folder / GetParam() + ".solverstate");
  EXPECT_EQ(memory_of(solver), expected);
}

TEST(Snapshot, ChoosesTheWeightsThatItWasWrittenWith) {
  const ScratchFolder folder;
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1"));
  solver.step(1);
  const std::vector<float> expected = memory_of(solver);
  fs::copy(folder / "run_iter_1.solverstate", folder / "best.solverstate");
  solver.step(1);
  fs::copy(folder / "run_iter_2.caffemodel", folder / "best.caffemodel");

  solver.restore(folder / "best.solverstate");
  EXPECT_EQ(memory_of(solver), expected);
}

TEST(Snapshot, RefusesOtherWeightsUnlessTheyAreNamed) {
  const ScratchFolder folder;
  const std::string model = folder / "run_iter_1.caffemodel",
                    state = folder / "run_iter_1.solverstate";
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1"));
  solver.step(2);
  const std::vector<float> before = memory_of(solver);
  fs::copy(folder / "run_iter_2.caffemodel", model, fs::copy_options::overwrite_existing);

  const std::string error = error_of([&] { solver.restore(state); });
  EXPECT_TRUE(contains(error, state + ": error: its weights '" + model +
                                  "' are damaged or another run's") &&
              contains(error, "add --weights=" + model))
      << error;
  EXPECT_EQ(memory_of(solver), before);
  solver.restore(state, model);
  EXPECT_EQ(solver.iteration(), 1);
}

TEST(Snapshot, SaysWhereItLookedForItsWeights) {
  const ScratchFolder folder;
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1"));
  solver.step(1);
  copy_snapshot(folder, "keep/best");
  fs::remove(folder / "keep/best.caffemodel");
  fs::remove(folder / "run_iter_1.caffemodel");
  const std::string error = error_of([&] { solver.restore(folder / "keep/best.solverstate"); });
  EXPECT_TRUE(contains(
      error, "best.solverstate: error: its weights are missing: there is none of '" +
                 folder / "keep/best.caffemodel" + "', '" + folder / "keep/run_iter_1.caffemodel" +
                 "', '" + folder / "run_iter_1.caffemodel" + "'"))
      << error;
}

TEST(Snapshot, NamesTheFileThatIsDamaged) {
  for (const char* format : {"BINARYPROTO", "HDF5"}) {
    const bool hdf5 = format == std::string("HDF5");
    if (hdf5 && !built_with_hdf5()) continue;
    const ScratchFolder folder;
    Context ctx;
    Solver solver(ctx, snapshotting(folder, str("snapshot: 1 snapshot_format: ", format)));
    solver.step(1);
    const std::string state = folder / "run_iter_1.solverstate" + (hdf5 ? ".h5" : "");
    const float weight = memory_of(solver)[0], history = memory_of(solver).back();
    for (const auto& [file, value] :
         {std::pair(folder / "run_iter_1.caffemodel" + (hdf5 ? ".h5" : ""), weight),
          std::pair(state, history)}) {
      const std::string good = read_file(file);
      std::string bad = good;
      const std::string bytes(reinterpret_cast<const char*>(&value), sizeof value);
      ASSERT_NE(bad.find(bytes), bad.npos);
      bad[bad.find(bytes)] ^= 1;
      std::ofstream(file, std::ios::binary) << bad;
      const std::string error = error_of([&] { solver.restore(state); });
      // For weights in HDF5, the hash in the state is checked first.
      EXPECT_TRUE(contains(error, file + " is damaged: ") ||
                  contains(error, file + "' are damaged"))
          << error;
      std::ofstream(file, std::ios::binary) << good;
    }
    solver.restore(state);
  }
}

// ---- Files that do not fit ----

TEST(Snapshot, NamesFilesThatAreNotStates) {
  const ScratchFolder folder;
  const std::pair<std::string, const char*> cases[] = {
      {folder / "none.solverstate", "there is no such file"},
      {folder.write("a.caffemodel", "x"),
       "holds weights, not the state of a solver: start from it "
       "with --weights"},
      {folder.write("a.caffemodel.h5", "x"), "start from it with --weights"},
      {folder.write("a.solverstate", "no protobuf"), "is not a .solverstate, or cut short"},
      {folder.write("b.solverstate", ""), "is not a .solverstate, or cut short"},
  };
  for (const auto& [file, message] : cases) {
    const std::string path = file;
    EXPECT_ERROR(read_solver_state(path), message);
  }
}

TEST(Snapshot, RecognisesWeightsOfAnyName) {
  const ScratchFolder folder;
  Context ctx;
  Solver solver(ctx, tiny_solver(""));
  solver.net().save(folder / "weights.solverstate");
  EXPECT_ERROR(solver.restore(folder / "weights.solverstate"),
               "if it holds weights, use --weights");
}

TEST(Snapshot, NamesWhatDoesNotFit) {
  const ScratchFolder folder;
  const std::string state_file = folder / "run_iter_1.solverstate";
  Context ctx;
  Solver solver(ctx, snapshotting(folder, "snapshot: 1"));
  solver.step(1);
  const SolverState good = read_solver_state(state_file);
  const auto error_with = [&](auto change) {
    SolverState bad = good;
    change(bad);
    write_solver_state(state_file, bad);
    return error_of([&] { solver.restore(state_file); });
  };

  const std::string type = error_with([](SolverState& s) { s.set_type("Adam"); });
  EXPECT_TRUE(contains(type, "written by solver type Adam, but this solver has type SGD")) << type;
  const std::string count = error_with([](SolverState& s) { s.mutable_history()->RemoveLast(); });
  EXPECT_TRUE(contains(count,
                       "it holds 3 history blobs, but solver type SGD needs 4 for the 4 "
                       "parameters of this net"))
      << count;
  const std::string shape =
      error_with([](SolverState& s) { s.mutable_history(2)->mutable_shape()->set_dim(0, 7); });
  EXPECT_TRUE(contains(shape, "history blob 2 is 7 x 5, but parameter 0 of layer 'ip2' is 3 x 5"))
      << shape;
  const std::string values_missing =
      error_with([](SolverState& s) { s.mutable_history(2)->clear_data(); });
  EXPECT_TRUE(contains(values_missing, "holds 0 values where 15 are needed")) << values_missing;
  const std::string iter = error_with([](SolverState& s) { s.set_iter(-5); });
  EXPECT_TRUE(contains(iter, "its iteration is negative (-5)")) << iter;
}

// ---- Disks that fail ----

class Faults : public testing::Test {
 protected:
  ~Faults() override { set_file_step_hook({}); }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / ""))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  ScratchFolder folder_;
};

TEST_F(Faults, FullDiskDuringTrainingDoesNotEndIt) {
  Context ctx;
  Solver solver(ctx, snapshotting(folder_, "snapshot: 2"));
  solver.step(2);
  const std::vector<std::string> before = files();
  for (const FileStep step : {FileStep::open, FileStep::write, FileStep::sync, FileStep::rename}) {
    set_file_step_hook([=](FileStep s) { return s == step ? ENOSPC : 0; });
    solver.step(2);
    EXPECT_EQ(files(), before);
  }
  EXPECT_EQ(solver.iteration(), 10);
  set_file_step_hook({});
  solver.restore(folder_ / "run_iter_2.solverstate");
  EXPECT_EQ(solver.iteration(), 2);
}

TEST_F(Faults, FullDiskAtTheEndIsAnError) {
  SolverParameter param = snapshotting(folder_, "max_iter: 2");
  param.set_snapshot_after_train(true);
  Context ctx;
  Solver solver(ctx, param);
  set_file_step_hook([](FileStep s) { return s == FileStep::write ? ENOSPC : 0; });
  EXPECT_ERROR(solver.solve(), "run_iter_2.caffemodel': No space left on device");
  EXPECT_EQ(solver.iteration(), 2);
}

TEST_F(Faults, KilledSnapshotLeavesThePreviousOneWhole) {
  Context ctx;
  Solver solver(ctx, snapshotting(folder_, "snapshot: 2"));
  solver.step(2);
  const std::vector<float> expected = memory_of(solver);
  solver.step(1);
  int killed = 0;
  for (int nth = 1;; ++nth) {
    const pid_t child = ::fork();
    if (child == 0) {
      set_file_step_hook([=, n = 0](FileStep) mutable {
        if (++n == nth) ::_exit(7);
        return 0;
      });
      solver.snapshot();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    Solver resumed(ctx, snapshotting(folder_, ""));
    resumed.restore(folder_ / "run_iter_2.solverstate");
    EXPECT_EQ(memory_of(resumed), expected) << "killed at step " << nth;
    if (WEXITSTATUS(status) == 0) break;
    ++killed;
  }
  EXPECT_EQ(killed, 10);  // open, write, sync, rename and sync_folder of two files
  Solver resumed(ctx, snapshotting(folder_, ""));
  resumed.restore(folder_ / "run_iter_3.solverstate");
  EXPECT_EQ(memory_of(resumed), memory_of(solver));
}

TEST_F(Faults, APrefixThatCannotBeWrittenIsAnErrorBeforeTraining) {
  SolverParameter param = tiny_solver("snapshot: 100 max_iter: 1");
  param.set_snapshot_prefix(folder_ / "none/run");
  Context ctx;
  Solver solver(ctx, param, "solver.prototxt");
  const auto diary = keep_diary(solver);
  const std::string error = error_of([&] { solver.solve(); });
  EXPECT_TRUE(
      contains(error, "solver.prototxt: error: snapshots cannot be written: cannot create") &&
      contains(error, "create folder '"))
      << error;
  EXPECT_FALSE(contains(diary->events, "i0"));

  param.clear_snapshot();
  param.set_snapshot_after_train(true);
  Solver at_the_end(ctx, param);
  EXPECT_ERROR(at_the_end.solve(), "snapshots cannot be written");
}

}  // namespace
}  // namespace doppio
