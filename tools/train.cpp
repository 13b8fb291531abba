// `doppio train`: trains the net of a solver prototxt.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <sys/resource.h>

#include <chrono>

#include "doppio/solver.hpp"
#include "io/comma_list.hpp"
#include "solver/data_report.hpp"
#include "solver/input_wait.hpp"
#include "solver/log_observer.hpp"
#include "solver/rank_report.hpp"
#include "solver/read_solver.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/signals.hpp"
#include "solver/snapshot_files.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/project/project_folder.hpp"
#include "tools/ranks.hpp"
#include "tools/setup.hpp"

DEFINE_string(snapshot, "", ".solverstate to continue from");
DEFINE_string(sigint_effect, "stop", "what SIGINT (Ctrl-C) does: stop, snapshot or none");
DEFINE_string(sighup_effect, "snapshot", "what SIGHUP does: stop, snapshot or none");

namespace doppio {

namespace {

void check_flags() {
  FLAGS_solver = file_in_folder(FLAGS_solver, "solver.prototxt");
  require_flag("solver", "train");
  if (!FLAGS_snapshot.empty() && comma_list(FLAGS_weights).size() > 1)
    throw UsageError("--snapshot continues a run with one file of weights, not several");
  if (FLAGS_resume && !FLAGS_snapshot.empty())
    throw UsageError("--resume finds the snapshot itself; leave either it or --snapshot out");
  if (FLAGS_snapshot.ends_with(".caffemodel") || FLAGS_snapshot.ends_with(".caffemodel.h5"))
    throw UsageError("--snapshot=" + FLAGS_snapshot +
                     " holds only weights: use --weights to begin " +
                     "with them, or name the .solverstate beside it to continue its run");
}

/// Returns contexts for GPUs if --gpu or `solver_mode: GPU` requests them, else for the CPU.
std::vector<std::unique_ptr<Context>> contexts_for(const SourcedSolver& source) {
  const SolverParameter& p = source.param;
  if (!FLAGS_gpu.empty()) return open_gpus();
  std::vector<std::unique_ptr<Context>> contexts;
  if (!p.has_solver_mode() || p.solver_mode() == SolverParameter::CPU) {
    contexts.push_back(std::make_unique<Context>());
    return contexts;
  }
  with_context(solver_context(source), [&] {
    require_field(built_with_cuda(), "solver_mode",
                  "solver_mode is GPU, but this build has no CUDA",
                  "; --set solver_mode=CPU trains on the CPU");
    try {
      contexts.push_back(std::make_unique<Context>(open_accelerator(p.device_id())));
    } catch (const Error& e) {
      throw Error(str("solver_mode is GPU: ", e.message()), {}, "solver_mode");
    }
  });
  return contexts;
}

/// Applies the flags that change a solver. Doing so again changes nothing.
void edit_solver(SourcedSolver& source, Overrides& overrides) {
  overrides.apply(source.param, source.fields);
  if (FLAGS_level != 0) source.param.mutable_train_state()->set_level(FLAGS_level);
  for (const std::string& stage : comma_list(FLAGS_stage))
    source.param.mutable_train_state()->add_stage(stage);
  edit_nets(source, overrides);
}

SourcedSolver read_changed_solver(Overrides& overrides) {
  SourcedSolver source = read_solver(FLAGS_solver);
  edit_solver(source, overrides);
  return source;
}

/// Removes the initial weight files from the solver and returns them. --weights overrides them.
std::vector<std::string> take_weights(SolverParameter& solver) {
  std::vector<std::string> files;
  if (FLAGS_weights.empty() && FLAGS_snapshot.empty())
    for (const std::string& list : solver.weights())
      for (const std::string& file : comma_list(list)) files.push_back(file);
  solver.clear_weights();
  return FLAGS_weights.empty() ? files : comma_list(FLAGS_weights);
}

/// Measures training speed without the time of tests.
class Throughput final : public SolverObserver {
 public:
  void on_start(Solver&) override { resume(); }
  void on_iteration(Solver& solver, int, float, float) override {
    for (const NetLayer& layer : solver.net().layers())
      if (layer.traits.is_source && !layer.tops.empty() && layer.tops[0]->shape().axes() > 0) {
        images_ +=
            layer.tops[0]->shape()[0] * solver.param().iter_size() * solver.net().shard().count;
        return;
      }
  }
  void on_test_start(Solver&, int) override {
    seconds_ += since();
    resume();  // in case the test does not complete
  }
  void on_test(Solver&, const TestResult&) override { resume(); }
  void on_stop(Solver&, bool) override {
    seconds_ += since();
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    LOG(INFO) << "Trained on " << images_ << " images in " << seconds_
              << " s without tests: " << static_cast<double>(images_) / seconds_
              << " images/s; peak memory " << usage.ru_maxrss / 1024 << " MiB";
  }

 private:
  using Clock = std::chrono::steady_clock;
  void resume() { begin_ = Clock::now(); }
  double since() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  Clock::time_point begin_ = Clock::now();
  double seconds_ = 0;
  Index images_ = 0;
};

/// Keeps the group's message about a lost rank up to date.
class Progress final : public SolverObserver {
 public:
  void on_iteration(Solver& solver, int iteration, float, float) override {
    solver.group()->set_progress(iteration, advice_);
  }
  void on_snapshot(Solver& solver, const std::string&, const std::string&) override {
    advice_ = str("--resume continues from iteration ", solver.iteration());
  }

 private:
  std::string advice_ = "No snapshot was written";
};

/// Remembers the last state file written.
class LastSnapshot final : public SolverObserver {
 public:
  explicit LastSnapshot(const std::string& state) : state_(state) {}
  void on_snapshot(Solver&, const std::string&, const std::string& state) override {
    state_ = state;
  }
  const std::string& state() const { return state_; }

 private:
  std::string state_;
};

bool is_finished(const Solver& solver) {
  return solver.policy().finished() || solver.iteration() >= solver.param().max_iter();
}

void warn_if_finished(const Solver& solver) {
  const bool plateau = solver.policy().finished();
  const int last = solver.param().max_iter();
  LOG_IF(WARNING, is_finished(solver))
      << FLAGS_snapshot << " is of iteration " << solver.iteration() << ", and the run ends at "
      << (plateau ? std::string("its plateau") : str("max_iter ", last))
      << ": nothing is left to train"
      << (plateau ? "" : "; --set max_iter=N with a larger N trains longer");
}

/// Logs the command that continues from `state`. A warning, so that it appears even with --quiet.
void log_how_to_continue(const Solver& solver, const std::string& state,
                         const std::vector<std::string>& command_line) {
  std::vector<std::string> command;
  for (const std::string& word : command_line)
    if (!word.starts_with("--snapshot=") && !word.starts_with("--weights=") &&
        !word.starts_with("--resume"))
      command.push_back(word);
  command.push_back("--snapshot=" + state);
  LOG(WARNING) << "Stopped before iteration " << solver.iteration() << " of "
               << solver.param().max_iter()
               << (state.empty()
                       ? "; no snapshot was written, so the run can only start again"
                       : ". To continue from the last snapshot:\n" + shell_command(command));
}

/// Returns the snapshot to resume from: --snapshot, or with --resume the newest, or none.
std::string snapshot_to_resume(const SourcedSolver& source, ProcessGroup* group) {
  if (!FLAGS_resume) return FLAGS_snapshot;
  std::string file;
  if (!group || group->rank() == 0) file = newest_snapshot(snapshot_prefix(source));
  if (group) file = group->broadcast(file);
  LOG_IF(INFO, file.empty()) << "--resume: there is no snapshot yet, so training starts anew";
  return file;
}

int train(const Arguments& given, const std::shared_ptr<ProcessGroup>& group) {
  const SolverAction on_interrupt = action_from_name(FLAGS_sigint_effect);
  const SolverAction on_hangup = action_from_name(FLAGS_sighup_effect);
  Overrides overrides(given.sets);
  SourcedSolver source = group
                             ? share_solver(*group, [&] { return read_changed_solver(overrides); })
                             : read_changed_solver(overrides);
  if (group && group->rank() != 0) edit_solver(source, overrides);
  FLAGS_snapshot = snapshot_to_resume(source, group.get());
  SignalHandler signals(on_interrupt, on_hangup, source.param.snapshot_after_train(),
                        !group || group->rank() == 0);
  const std::vector<std::string> weights = take_weights(source.param);
  const std::vector<std::unique_ptr<Context>> owned = contexts_for(source);
  std::vector<Context*> contexts;
  for (const auto& ctx : owned) {
    apply_flags(*ctx);
    contexts.push_back(ctx.get());
  }
  Solver solver(contexts, std::move(source), group);
  if (group) {
    require_same_data(solver);
    log_ranks(solver);
  }
  if (!FLAGS_snapshot.empty()) {
    LOG(INFO) << "Resuming from " << FLAGS_snapshot;
    solver.restore(FLAGS_snapshot, FLAGS_resume || weights.empty() ? "" : weights[0]);
    warn_if_finished(solver);
    if (FLAGS_resume && is_finished(solver)) return kDone;
  } else {
    for (const std::string& file : weights)
      log_copied_layers(solver.net(), solver.load_weights(file), file);
  }
  solver.save_memory();
  solver.add_observer(make_input_wait_observer());
  solver.add_observer(make_log_observer());
  if (group) solver.add_observer(make_rank_report());
  solver.add_observer(std::make_shared<Throughput>());
  const auto last = std::make_shared<LastSnapshot>(FLAGS_snapshot);
  solver.add_observer(last);
  if (group) solver.add_observer(std::make_shared<Progress>());
  signals.set_iteration(solver.iteration());
  solver.set_action_source([&] {
    signals.set_iteration(solver.iteration());
    return signals.poll();
  });
  for (const std::string& line : data_report(solver)) LOG(INFO) << line;
  LOG(INFO) << "Starting Optimization";
  solver.solve();
  LOG(INFO) << "Optimization Done.";
  if (solver.stopped_early() && (!group || group->rank() == 0))
    log_how_to_continue(solver, last->state(), given.command_line);
  return signals.terminated() ? kTerminated : kDone;
}

int run(const Arguments& given) {
  check_flags();
  const std::shared_ptr<ProcessGroup> group = join_ranks();
  return run_ranks(group, [&] { return train(given, group); });
}

}  // namespace

Command train_command() {
  return {
      .name = "train",
      .summary = "train a net from scratch, from a snapshot or from given weights",
      .operands = "",
      .flags = {{"solver=FILE", "solver prototxt, or a folder that `doppio new` made"},
                {"weights=FILES",
                 "start with these weights (.caffemodel or .caffemodel.h5); several files, "
                 "separated by commas, are copied into the net one after the other"},
                {"snapshot=FILE",
                 "continue the run of this .solverstate; with --weights, with those weights "
                 "instead of its own"},
                {"resume",
                 "continue from the newest complete snapshot of snapshot_prefix; without one, "
                 "start anew"},
                {"gpu=IDS",
                 "numbers of the GPUs to train on, such as 0 or 0,1, or `all` (default: as "
                 "solver_mode says)"},
                {"set=FIELD=VALUE",
                 "change a field of the solver or the net for this run: `doppio help set`"},
                {"level=N", "level of the training net, for its include and exclude rules"},
                {"stage=NAMES",
                 "stages of the training net, for the same rules, separated by commas"},
                {"sigint_effect=ACTION", "what Ctrl-C (SIGINT) does: stop, snapshot or none"},
                {"sighup_effect=ACTION", "what SIGHUP does: stop, snapshot or none"},
                {"rank_timeout=SECONDS",
                 "how long one of several processes may be silent before it counts as lost"},
                {"no_fusion", "run every layer separately, without fusing it with the next ones"},
                {"reference",
                 "train with the slow reference implementations, to check the fast ones"}},
      .example = "doppio train --solver=models/lenet/solver.prototxt --set max_iter=1000",
      .run = run,
      .notes =
          "Ctrl-C, SIGTERM and SIGUSR1 finish the iteration, write a snapshot and log the command "
          "that continues the run; a second Ctrl-C stops at once. After SIGTERM and SIGUSR1 the "
          "exit code is 75, so that a scheduler can start the same command with --resume again.\n"
          "Several GPUs or processes (`mpirun -n 4 doppio train ...` or srun) divide each batch: "
          "batch_size is that of all together. Rank 0 writes the log and the snapshots, and tests "
          "run on the first GPU. A net with model_parallel is split over them."};
}

}  // namespace doppio
