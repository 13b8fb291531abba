#include "solver/read_solver.hpp"

#include <gtest/gtest.h>

#include "doppio/solver.hpp"
#include "solver/tiny_net.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Returns the error message for a solver prototxt of these lines, without the folder's name.
std::string error_in(const std::string& text) {
  const ScratchFolder folder;
  const std::string file = folder.write("solver.prototxt", text);
  Context ctx;
  std::string message = error_of([&] { Solver(ctx, file); });
  for (std::size_t at; (at = message.find(folder / "")) != std::string::npos;)
    message.erase(at, (folder / "").size());
  return message;
}

const std::string kNet = "net_param { " + tiny_net() + " }\n";

TEST(ReadSolver, PointsAtTheFieldThatIsWrong) {
  const std::string net = "net_param { name: 'n' }\n";
  const std::pair<std::string, const char*> cases[] = {
      {"base_rl: 1",
       "solver.prototxt:1:1: error: SolverParameter has no field 'base_rl'; did you "
       "mean 'base_lr'?"},
      {net + "lr_policy: 'fixd'", "solver.prototxt:2:1: error: unknown lr_policy 'fixd'"},
      {net + "lr_policy: 'fixed'\ntype: 'Adm'", "solver.prototxt:3:1: error: unknown solver type"},
      {net + "lr_policy: 'fixed' regularization_type: 'L3'",
       "solver.prototxt:2:20: error: unknown"},
      {net + "lr_policy: 'fixed' iter_size: 0", "iter_size must be at least 1, it is 0"},
      {net + "lr_policy: 'fixed' eval_type: 'detect'", "eval_type 'detect' is unknown"},
      {net + "lr_policy: 'fixed' ap_version: '12point'",
       "ap_version '12point' is unknown; did you mean '11point'?"},
      {net + "lr_policy: 'fixed' average_loss: 0", "average_loss must be at least 1, it is 0"},
      {net + "lr_policy: 'fixed' max_iter: -1", "max_iter must be at least 0, it is -1"},
      {net + "lr_policy: 'fixed' display: -1", "display must be at least 0, it is -1"},
      {net + "lr_policy: 'fixed' snapshot: -1", "snapshot must be at least 0, it is -1"},
      {net + "lr_policy: 'fixed' test_interval: -1", "test_interval must be at least 0, it is -1"},
      {net + "lr_policy: 'fixed' weight_decay: -1", "weight_decay must not be negative, it is -1"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_TRUE(contains(error_in(text), message)) << error_in(text);
}

TEST(ReadSolver, KnowsThePlacesInANetOfItsOwn) {
  EXPECT_TRUE(
      error_in("lr_policy: 'fixed' base_lr: 1\nnet_param {\n  layer { name: 'r' type: "
               "'Relu' bottom: 'x' top: 'x' }\n}")
          .starts_with("solver.prototxt:3:21: error: layer 'r' (Relu): unknown layer type"));
}

TEST(ReadSolver, ReportsAllProblemsTogether) {
  const std::string error = error_in("lr_policy: 'fixd'\ntype: 'Adm'\niter_size: 0");
  EXPECT_TRUE(contains(error, ":3:1: error: iter_size must be")) << error;
  EXPECT_TRUE(contains(error, ":1:1: error: unknown lr_policy")) << error;
  EXPECT_TRUE(contains(error, ":2:1: error: unknown solver type")) << error;
}

TEST(ReadSolver, WantsExactlyOneTrainNet) {
  const std::string rest = "lr_policy: 'fixed'\n";
  EXPECT_TRUE(contains(error_in(rest), "solver.prototxt: error: there is no net to train"));
  EXPECT_TRUE(contains(error_in(rest + "net: 'a'\ntrain_net: 'b'"),
                       "solver.prototxt:3:1: error: more than one net to train is given (net, "
                       "train_net); exactly one"));
  const std::string missing = error_in(rest + "\nnet: 'no.prototxt'");
  EXPECT_TRUE(contains(missing,
                       "solver.prototxt:3:1: error: cannot read no.prototxt: No such "
                       "file"))
      << missing;
}

TEST(ReadSolver, ChecksTheTestNets) {
  const std::string common = kNet + "lr_policy: 'fixed'\n";
  const std::string own = "train_net_param { " + tiny_net() + " }\nlr_policy: 'fixed'\n";
  const std::string test = "test_net_param { " + tiny_net() + " }";
  const std::pair<std::string, const char*> cases[] = {
      {own + "test_iter: 1", "test_iter is given 1 times for 0 test nets"},
      {own + test, "test_iter is given 0 times for 1 test nets"},
      {common + test, "test_iter is given 0 times for 1 test nets"},
      {common + "test_iter: 1", "so test_interval must be greater than 0"},
      {common + "test_iter: -1 test_interval: 1", "test_iter must not be negative, it is -1"},
      {common + "test_iter: 1 test_interval: 1 test_state {} test_state {}",
       "test_state is given 2 times for 1 test nets"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_TRUE(contains(error_in(text), message)) << error_in(text);
}

TEST(ReadSolver, OrdersTheTestNetsAsCaffeDoes) {
  const ScratchFolder folder;
  SourcedSolver solver;
  solver.param = solver_param(
      "net_param { name: 'common' } test_net_param { name: 'message' } test_iter: 1 test_iter: 2 "
      "test_iter: 3 test_interval: 1");
  solver.param.add_test_net(folder.write("net.prototxt", "name: 'file'"));
  std::string names;
  for (const SolverNet& net : test_nets(solver)) names += net.source.net.name() + " ";
  EXPECT_EQ(names, "message file common ");
}

TEST(ReadSolver, MergesTheStates) {
  SourcedSolver solver;
  solver.param = solver_param(
      "net_param { state { level: 3 stage: 'a' } } train_state { stage: 'b' } "
      "test_iter: 1 test_interval: 1 test_state { level: 4 }");
  const NetState train = train_net(solver).state, test = test_nets(solver)[0].state;
  EXPECT_EQ(train.ShortDebugString(), "phase: TRAIN level: 3 stage: \"a\" stage: \"b\"");
  EXPECT_EQ(test.ShortDebugString(), "phase: TEST level: 4 stage: \"a\"");
}

TEST(ReadSolver, NamesSnapshots) {
  const ScratchFolder folder;
  SourcedSolver solver;
  EXPECT_ERROR(snapshot_prefix(solver), "snapshot_prefix is missing");
  solver.file = "models/lenet_solver.prototxt";
  EXPECT_EQ(snapshot_prefix(solver), "models/lenet_solver");
  solver.param.set_snapshot_prefix("snap/x");
  EXPECT_EQ(snapshot_prefix(solver), "snap/x");
  solver.param.set_snapshot_prefix(folder / "");
  EXPECT_EQ(snapshot_prefix(solver), folder / "lenet_solver");
}

}  // namespace
}  // namespace doppio
