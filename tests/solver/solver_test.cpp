#include "doppio/solver.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>

#include "solver/read_solver.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/signals.hpp"
#include "solver/tiny_net.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

TEST(Solver, TestsShowsUpdatesAndSnapshotsInCaffesOrder) {
  const ScratchFolder folder;
  Context ctx;
  SolverParameter param =
      tiny_solver("max_iter: 4 test_iter: 1 test_interval: 2 display: 2 snapshot: 3");
  param.set_snapshot_after_train(true);
  param.set_snapshot_prefix(folder / "run");
  Solver solver(ctx, param);
  const auto diary = keep_diary(solver);
  solver.solve();
  EXPECT_EQ(diary->events, "start t0@0 i0 i1 t0@2 i2 s3 i3 s4 final t0@4 done");
  EXPECT_EQ(diary->snapshots[1], folder / "run_iter_4.solverstate");
}

TEST(Solver, DoesNotSnapshotTwiceAtTheEnd) {
  const ScratchFolder folder;
  Context ctx;
  SolverParameter param = tiny_solver("max_iter: 3 snapshot: 3");
  param.set_snapshot_after_train(true);
  param.set_snapshot_prefix(folder / "run");
  Solver solver(ctx, param);
  const auto diary = keep_diary(solver);
  solver.solve();
  EXPECT_EQ(diary->events, "start i0 i1 i2 s3 done");
}

TEST(Solver, SkipsTheFirstTestIfAsked) {
  Context ctx;
  Solver solver(ctx, tiny_solver("test_iter: 1 test_interval: 2 test_initialization: false"));
  const auto diary = keep_diary(solver);
  solver.step(3);
  EXPECT_EQ(diary->events, "i0 i1 t0@2 i2 ");
}

TEST(Solver, TrainingLowersTheLoss) {
  Context ctx;
  Solver solver(ctx, tiny_solver("momentum: 0.9 average_loss: 20", tiny_net(32)));
  const auto diary = keep_diary(solver);
  solver.step(100);
  EXPECT_GT(diary->losses.front(), 0.9f);
  EXPECT_LT(diary->losses.back(), 0.7f);
}

TEST(Solver, AverageLossSmoothsAndRestartsWithEachStep) {
  Context plain_ctx, averaged_ctx;
  Solver plain(plain_ctx, tiny_solver("")), averaged(averaged_ctx, tiny_solver("average_loss: 3"));
  const auto raw = keep_diary(plain), smooth = keep_diary(averaged);
  for (const int n : {4, 1}) {
    plain.step(n);
    averaged.step(n);
  }
  const std::vector<float>& l = raw->losses;
  EXPECT_FLOAT_EQ(smooth->losses[0], l[0]);
  EXPECT_FLOAT_EQ(smooth->losses[1], (l[0] + l[1]) / 2);
  EXPECT_FLOAT_EQ(smooth->losses[3], (l[1] + l[2] + l[3]) / 3);
  EXPECT_FLOAT_EQ(smooth->losses[4], l[4]);
}

std::string without_dropout(std::string net) {
  const std::size_t at = net.find("type: 'Dropout'");
  return net.replace(at, 15, "type: 'ReLU'");
}

TEST(Solver, IterSizeAccumulatesGradientsOfHalfBatches) {
  Context ctx, other_ctx;
  Solver whole(ctx, tiny_solver("momentum: 0.9", without_dropout(tiny_net(8))));
  Solver halves(other_ctx, tiny_solver("momentum: 0.9 iter_size: 2", without_dropout(tiny_net(4))));
  const auto a = keep_diary(whole), b = keep_diary(halves);
  whole.step(3);
  halves.step(3);
  EXPECT_NEAR(a->losses[2], b->losses[2], 1e-6);
  const std::vector<float> expected = memory_of(whole), actual = memory_of(halves);
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(expected[i], actual[i], 1e-6);
}

TEST(Solver, ClipsGradientsByTheirGlobalNorm) {
  Context ctx;
  Solver solver(ctx, tiny_solver("clip_gradients: 0.01 iter_size: 2"));
  const auto diary = keep_diary(solver);
  solver.step(1);
  ASSERT_EQ(diary->norms.size(), 1u);
  EXPECT_GT(diary->norms[0], 0.01f);
  EXPECT_FLOAT_EQ(diary->factors[0], 0.01f / diary->norms[0]);
  double squares = 0;  // of lr * g * factor / iter_size
  for (const Tensor& history : solver.history())
    for (const float v : values(history)) squares += static_cast<double>(v) * v;
  EXPECT_NEAR(std::sqrt(squares), 0.1 * 0.01 / 2, 1e-8);
}

TEST(Solver, MultipliesRateAndDecayByTheParametersFactors) {
  std::string net = tiny_net();
  net.replace(net.find("inner_product_param"), 0,
              "param { lr_mult: 0 } param { lr_mult: 2 decay_mult: 0 } ");
  Context ctx;
  Solver solver(ctx, tiny_solver("weight_decay: 0.5", net));
  const std::vector<float> before = values(solver.net().parameters()[0].blob->data);
  solver.step(1);
  EXPECT_EQ(values(solver.net().parameters()[0].blob->data), before);
  const Parameter& bias = solver.net().parameters()[1];
  const std::vector<float> g = values(bias.blob->grad), v = values(solver.history()[1]);
  for (std::size_t i = 0; i < g.size(); ++i) EXPECT_FLOAT_EQ(v[i], 0.2f * g[i]);
}

TEST(Solver, MakesSeveralTestNetsOfOneFile) {
  Context ctx;
  std::string net = tiny_net();
  net.replace(net.find("include { phase: TEST }"), 23, "include { phase: TEST stage: 'full' }");
  Solver solver(ctx, tiny_solver("test_iter: 1 test_iter: 2 test_interval: 10 "
                                 "test_state { } test_state { stage: 'full' }",
                                 net));
  ASSERT_EQ(solver.test_nets().size(), 2u);
  EXPECT_EQ(solver.test_nets()[0]->outputs(), std::vector<std::string>{"loss"});
  EXPECT_EQ(solver.test_nets()[1]->outputs(), (std::vector<std::string>{"accuracy", "loss"}));
}

TEST(Solver, TestsAverageOverTheirBatches) {
  Context ctx;
  Solver solver(ctx, tiny_solver("test_iter: 2 test_interval: 10"));
  Net& net = *solver.test_nets()[0];
  float sum = net.forward() + net.forward();
  net.layers()[0].layer->seek({});
  const TestResult result = solver.test(0);
  ASSERT_EQ(result.outputs.size(), 2u);
  EXPECT_EQ(result.outputs[0].blob, "accuracy");
  EXPECT_EQ(result.outputs[1].blob, "loss");
  EXPECT_EQ(result.outputs[1].loss_weight, 1.0f);
  EXPECT_FLOAT_EQ(result.outputs[1].values[0], sum / 2);
  EXPECT_FLOAT_EQ(result.loss, sum / 2);
  EXPECT_ERROR(solver.test(1), "there is no test net #1");
}

TEST(Solver, RepeatsARunOfTheSameSeed) {
  const auto weights_after = [](std::int64_t seed) {
    Context ctx;
    SolverParameter param = tiny_solver("");
    param.set_random_seed(seed);
    Solver solver(ctx, param);
    solver.step(3);
    return memory_of(solver);
  };
  EXPECT_EQ(weights_after(5), weights_after(5));
  EXPECT_NE(weights_after(5), weights_after(6));
  EXPECT_NE(weights_after(-1), weights_after(-1));
}

TEST(Solver, StartsFromWeights) {
  const ScratchFolder folder;
  Context ctx;
  Solver first(ctx, tiny_solver("", tiny_net()));
  first.net().save(folder / "a.caffemodel");
  SolverParameter param = tiny_solver("test_iter: 1 test_interval: 1");
  param.set_random_seed(99);
  param.add_weights(str(folder / "a.caffemodel", " , ", folder / "a.caffemodel"));
  Solver second(ctx, param);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(values(second.net().parameters()[i].blob->data),
              values(first.net().parameters()[i].blob->data));
    EXPECT_TRUE(second.test_nets()[0]->parameters()[i].blob->data.shares_memory_with(
        second.net().parameters()[i].blob->data));
  }

  std::string wider = tiny_net();
  wider.replace(wider.find("num_output: 5"), 13, "num_output: 6");
  *param.mutable_net_param() = tiny_solver("", wider).net_param();
  EXPECT_ERROR(Solver(ctx, param), "weights do not fit the net");
}

// ---- Stopping ----

/// Returns `action` at the `nth` poll, otherwise "none".
std::function<SolverAction()> at_question(int nth, SolverAction action) {
  return [=, n = 0]() mutable { return ++n == nth ? action : SolverAction::none; };
}

TEST(Solver, StopsWhenAskedTo) {
  Context ctx;
  Solver solver(ctx, tiny_solver("max_iter: 5"));
  const auto diary = keep_diary(solver);
  solver.set_action_source(at_question(2, SolverAction::stop));
  solver.solve();
  EXPECT_EQ(diary->events, "start i0 i1 early");
  EXPECT_TRUE(solver.stopped_early());
  solver.step(1);  // continues after the stop
  EXPECT_EQ(solver.iteration(), 3);
}

TEST(Solver, SnapshotsWhenAskedTo) {
  const ScratchFolder folder;
  Context ctx;
  SolverParameter param = tiny_solver("max_iter: 3");
  param.set_snapshot_prefix(folder / "run");
  Solver solver(ctx, param);
  const auto diary = keep_diary(solver);
  solver.set_action_source(at_question(2, SolverAction::snapshot));
  solver.solve();
  EXPECT_EQ(diary->events, "start i0 i1 s2 i2 done");
}

TEST(Solver, SnapshotsAndStopsWhateverSnapshotAfterTrainSays) {
  const ScratchFolder folder;
  for (const bool after : {false, true}) {
    Context ctx;
    SolverParameter param = tiny_solver("max_iter: 3");
    param.set_snapshot_after_train(after);
    param.set_snapshot_prefix(folder / "run");
    Solver solver(ctx, param);
    const auto diary = keep_diary(solver);
    solver.set_action_source(at_question(1, SolverAction::snapshot_and_stop));
    solver.solve();
    EXPECT_EQ(diary->events, "start i0 s1 early");
  }
}

TEST(Solver, LeavesASnapshotWhenTheProcessIsTerminated) {
  const ScratchFolder folder;
  Context ctx;
  SolverParameter param = tiny_solver("max_iter: 9");
  param.set_snapshot_prefix(folder / "run");
  Solver solver(ctx, param);
  const auto diary = keep_diary(solver);
  struct Scheduler final : SolverObserver {
    void on_iteration(Solver&, int iteration, float, float) override {
      if (iteration == 2) ::raise(SIGTERM);
    }
  };
  solver.add_observer(std::make_shared<Scheduler>());
  SignalHandler handler;
  solver.set_action_source([&] { return handler.poll(); });
  solver.solve();
  EXPECT_EQ(diary->events, "start i0 i1 i2 s3 early");
  EXPECT_TRUE(handler.terminated());
}

TEST(Solver, AbandonsATestToStop) {
  Context ctx;
  Solver solver(ctx, tiny_solver("max_iter: 5 test_iter: 3 test_interval: 1"));
  const auto diary = keep_diary(solver);
  solver.set_action_source(at_question(2, SolverAction::stop));
  solver.solve();
  EXPECT_EQ(diary->events, "start t0@0 early");
  EXPECT_TRUE(diary->tests.empty());
  EXPECT_EQ(solver.test_nets()[0]->passes(), 0u);
  EXPECT_EQ(solver.test_nets()[0]->layers()[0].layer->cursor().records, 0u);
}

// ---- Divergence ----

TEST(Solver, StopsAtTheFirstLossThatIsNotFinite) {
  Context ctx;
  Solver solver(ctx, tiny_solver("", tiny_net(4, "poisoned")), "lenet_solver.prototxt");
  const std::string error = error_of([&] { solver.step(5); });
  EXPECT_EQ(solver.iteration(), 2);
  EXPECT_TRUE(contains(error,
                       "lenet_solver.prototxt: error: training diverged at iteration 2 "
                       "(learning rate 0.1): the loss is nan; the first such value is in "
                       "blob 'data', a top of layer 'poisoned' (TestSource), so the data "
                       "holds it. Lower base_lr"))
      << error;
  EXPECT_TRUE(contains(error, "Last snapshot: none was written")) << error;
}

TEST(Solver, ReportsTheParameterThatIsNotFinite) {
  const ScratchFolder folder;
  Context ctx;
  SolverParameter param = tiny_solver("snapshot: 1");
  param.set_snapshot_prefix(folder / "run");
  Solver solver(ctx, param);
  solver.step(1);
  solver.net().layer("ip2").layer->params[1].data.update_host()[0] = HUGE_VALF;
  const std::string error = error_of([&] { solver.step(1); });
  EXPECT_TRUE(contains(error,
                       "parameter 1 of layer 'ip2' (InnerProduct) is not finite, so an "
                       "earlier update was too large"))
      << error;
  EXPECT_TRUE(contains(error, "Last snapshot: '" + folder / "run_iter_1.solverstate'")) << error;
}

TEST(Solver, StopsAtAGradientThatIsNotFinite) {
  Context ctx;
  Solver solver(ctx, tiny_solver("clip_gradients: 1"));
  struct Poison final : SolverObserver {
    void on_iteration(Solver& s, int, float, float) override {
      s.net().parameters()[0].blob->grad.update_host()[0] = NAN;
    }
  };
  solver.add_observer(std::make_shared<Poison>());
  const std::string error = error_of([&] { solver.step(1); });
  EXPECT_TRUE(contains(error, "the norm of the gradients is nan")) << error;
  EXPECT_TRUE(contains(error, "all blobs and parameters are finite")) << error;
}

}  // namespace
}  // namespace doppio
