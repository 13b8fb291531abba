#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

class SolverParameter;
class Communicator;
class LearningRatePolicy;
class Replica;
class Solver;
class WorkerPool;
struct SourcedSolver;  // a SolverParameter and where its fields stand in the user's file
                       // (solver/read_solver.hpp)

/// What someone outside asks of a running solver, polled once per iteration and once per test
/// batch.
enum class SolverAction { none, stop, snapshot, snapshot_and_stop };

/// Averages over one pass of a test net.
struct TestResult {
  struct Output {
    std::string blob;
    std::vector<float> values;  ///< element-wise means over the batches; or one: see precisions
    float loss_weight = 0;
    /// With eval_type "detection", of a DetectionEvaluate layer: average precision per class, of
    /// which `values` holds the mean.
    std::map<int, float> precisions{};
  };
  int net = 0;
  std::vector<Output> outputs;
  float loss = 0;
};

/// Watches a solver: log lines, progress bars, event files. Never part of the loop.
class SolverObserver {
 public:
  virtual ~SolverObserver() = default;
  virtual void on_start(Solver&) {}
  /// After forward and backward of `iteration`, before the update. The loss is that of all devices.
  virtual void on_iteration(Solver&, int /*iteration*/, float /*smoothed_loss*/,
                            float /*learning_rate*/) {}
  /// The gradients' joint norm was above clip_gradients and is scaled by `factor`.
  virtual void on_clip(Solver&, float /*norm*/, float /*factor*/) {}
  virtual void on_test_start(Solver&, int /*net*/) {}
  virtual void on_test(Solver&, const TestResult&) {}
  virtual void on_snapshot(Solver&, const std::string& /*model_file*/,
                           const std::string& /*state_file*/) {}
  /// Loss of one more forward pass after the last iteration, if display divides its number.
  virtual void on_final_loss(Solver&, float /*smoothed_loss*/) {}
  virtual void on_stop(Solver&, bool /*early*/) {}
};

/// Trains a net: repeats forward, backward and update, tests and snapshots on the way.
///
/// Order within an iteration: clear gradients, test if due, `iter_size` passes, clip, divide by
/// iter_size, regularise, update rule, snapshot if due. Source: matches Caffe's solver, and stops
/// with an Error where the loss is no longer finite; formulas in the comments of SolverParameter.
class Solver {
 public:
  /// Builds the train net and the test nets. Throws: Error naming the solver prototxt's line.
  Solver(Context& ctx, const std::string& solver_file);
  /// `file` is where `param` came from: default snapshot names and messages use it.
  Solver(Context& ctx, const SolverParameter& param, const std::string& file = {});
  /// From a solver prototxt that was read (and perhaps changed) by the caller.
  Solver(Context& ctx, SourcedSolver source);
  /// The same on several accelerators. Each trains a net on its part of every batch, by the means
  /// of all gradients. The first one runs the tests and gives what snapshots hold.
  Solver(std::span<Context* const> contexts, SourcedSolver source);
  ~Solver();
  Solver(const Solver&) = delete;
  Solver& operator=(const Solver&) = delete;

  /// Runs until max_iter, a stop request or the end of lr_policy "plateau"; snapshots and tests at
  /// the end as the parameters say. Throws: Error if the loss is not finite, or if the last
  /// snapshot cannot be written.
  void solve();
  /// Runs `iterations` more iterations, or fewer if asked to stop. A snapshot that cannot be
  /// written on the way is logged and training continues.
  void step(int iterations);
  /// Runs test net `index` for its test_iter batches.
  TestResult test(int index);

  /// Fine-tunes: copies the weights of `file` by layer name to the train net and the test nets, and
  /// returns what became of each layer of the train net. The constructor does so for the files that
  /// the solver's `weights` names. Throws: Error if the shapes of a layer differ.
  std::vector<CopiedLayer> load_weights(const std::string& file);

  /// Writes PREFIX_iter_N.caffemodel and .solverstate, each whole or not at all; returns the
  /// state's file name. Throws: Error.
  std::string snapshot();
  /// Continues from a .solverstate (or .solverstate.h5), ours or Caffe's: ours bit for bit, Caffe's
  /// with the data restarted. The weights are those that the state was written with, beside it or
  /// where it says they are; `weights_file` names others to continue with. Throws: Error.
  void restore(const std::string& state_file, const std::string& weights_file = {});

  /// Lets the blobs of all nets take turns in memory, as Net::save_memory() does; only data and
  /// outputs of a net can be read after its passes.
  void save_memory();

  /// The net that trains on device number `rank`.
  Net& net(int rank = 0);
  /// Number of nets that train, on a device each.
  int ranks() const { return static_cast<int>(replicas_.size()); }
  std::vector<std::unique_ptr<Net>>& test_nets() { return test_nets_; }
  const SolverParameter& param() const;
  const LearningRatePolicy& policy() const { return *policy_; }
  int iteration() const { return iteration_; }
  /// Learning rate of the next iteration.
  float learning_rate() const;
  bool stopped_early() const { return stopped_; }
  /// The update rule's memory (momentum and the like), in the order in which snapshots hold it.
  std::vector<Tensor>& history();

  void add_observer(std::shared_ptr<SolverObserver> observer) {
    observers_.push_back(std::move(observer));
  }
  /// `poll` is asked once per iteration and once per test batch.
  void set_action_source(std::function<SolverAction()> poll) { poll_ = std::move(poll); }

 private:
  friend class SnapshotAccess;
  void build_nets(std::span<Context* const> contexts);
  void synchronize_replicas();
  float mean_loss(float (Net::*pass)());
  float forward_backward();
  float smoothed(float loss);
  void apply_update(float learning_rate);
  float clip_factor();
  [[noreturn]] void throw_diverged(const std::string& what);
  std::vector<TestResult> test_all();
  bool done() const;
  void poll_action();
  void require_snapshots_writable();
  void snapshot_or_log();

  Context& ctx_;
  std::unique_ptr<SourcedSolver> source_;
  std::unique_ptr<Communicator> communicator_;  // of several replicas
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::unique_ptr<WorkerPool> workers_;
  std::vector<std::uint64_t> versions_;  // of the first one's weights and history after step()
  std::vector<std::unique_ptr<Net>> test_nets_;
  std::unique_ptr<LearningRatePolicy> policy_;
  std::vector<std::shared_ptr<SolverObserver>> observers_;
  std::function<SolverAction()> poll_;
  std::vector<float> recent_losses_;  // the last average_loss of them, oldest first
  int iteration_ = 0;
  int last_snapshot_ = -1;  // its iteration
  std::string last_state_;  // its file
  bool prefix_checked_ = false;
  bool resumed_ = false;  // recent_losses_ came from a snapshot
  bool stopped_ = false;
  bool snapshot_wanted_ = false;
};

}  // namespace doppio
