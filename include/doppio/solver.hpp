#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

class SolverParameter;
class Grid;
class LearningRatePolicy;
class ProcessGroup;
class Replica;
class ShardedUpdate;
class Solver;
struct SolverNet;
struct SquaredNorms;
struct UpdateStep;
class WholeNet;
class WorkerPool;
struct SourcedSolver;  // a SolverParameter with the source location of each field
                       // (solver/read_solver.hpp)

/// A request to a running solver, polled once per iteration and once per test batch.
enum class SolverAction { none, stop, snapshot, snapshot_and_stop };

/// Averages over one pass of a test net.
struct TestResult {
  struct Output {
    std::string blob;
    std::vector<float> values;  ///< element-wise means over the batches, or the mean AP
    float loss_weight = 0;
    /// Average precision (AP) per class of a DetectionEvaluate layer with eval_type "detection";
    /// `values` holds their mean.
    std::map<int, float> precisions{};
  };
  int net = 0;
  std::vector<Output> outputs;
  float loss = 0;
};

/// Observes a solver, for log lines, progress bars and event files. Does not affect training.
class SolverObserver {
 public:
  virtual ~SolverObserver() = default;
  virtual void on_start(Solver&) {}
  /// Called after the passes of `iteration`, before the update; with several processes, weights may
  /// be updated already. The loss is the mean over all devices.
  virtual void on_iteration(Solver&, int /*iteration*/, float /*smoothed_loss*/,
                            float /*learning_rate*/) {}
  /// Called if the global gradient `norm` exceeds clip_gradients. Gradients are scaled by `factor`.
  virtual void on_clip(Solver&, float /*norm*/, float /*factor*/) {}
  virtual void on_test_start(Solver&, int /*net*/) {}
  virtual void on_test(Solver&, const TestResult&) {}
  virtual void on_snapshot(Solver&, const std::string& /*model_file*/,
                           const std::string& /*state_file*/) {}
  /// Called with the loss of a final forward pass if `display` divides the last iteration's number.
  virtual void on_final_loss(Solver&, float /*smoothed_loss*/) {}
  virtual void on_stop(Solver&, bool /*early*/) {}
};

/// Trains a net: repeats forward, backward and update, with tests and snapshots in between.
///
/// Order within an iteration: clear gradients, test if due, `iter_size` passes, clip, divide by
/// iter_size, regularise, update rule, snapshot if due. Source: matches Caffe's solver, but throws
/// Error if the loss is not finite. The comments of SolverParameter give the formulas.
class Solver {
 public:
  /// Builds the train net and the test nets. Throws: Error with the line of the solver prototxt.
  Solver(Context& ctx, const std::string& solver_file);
  /// `file` is the source of `param`, used in messages and default snapshot names.
  Solver(Context& ctx, const SolverParameter& param, const std::string& file = {});
  /// Uses a solver prototxt that the caller has read and may have modified.
  Solver(Context& ctx, SourcedSolver source);
  /// Trains on several accelerators with data parallelism: each computes its part of every batch,
  /// and gradients are averaged. The first one also runs the tests and provides the state for
  /// snapshots.
  ///
  /// With `group`, all its processes train together. Each makes the same calls. Rank 0 provides the
  /// state and writes snapshots, and all ranks run the tests, each its part of the batches.
  ///
  /// A net with model_parallel is split over model_parts devices: accelerators or, on the CPU,
  /// processes of the group or threads of this process. A multiple of model_parts makes as many
  /// copies, with data parallelism among them.
  Solver(std::span<Context* const> contexts, SourcedSolver source,
         std::shared_ptr<ProcessGroup> group = nullptr);
  ~Solver();
  Solver(const Solver&) = delete;
  Solver& operator=(const Solver&) = delete;

  /// Runs until max_iter, a stop request or the end of lr_policy "plateau", then takes a snapshot
  /// and runs the tests if the parameters say so. Throws: Error if the loss is not finite, or if
  /// the last snapshot cannot be written.
  void solve();
  /// Runs `iterations` more iterations, or fewer after a stop request. If a snapshot cannot be
  /// written, logs the error and continues.
  void step(int iterations);
  /// Runs test net `index` for its test_iter batches.
  TestResult test(int index);

  /// Copies the weights of `file` by layer name to the train and test nets, for fine-tuning.
  /// Returns the outcome for each layer of the train net. The constructor does this for the files
  /// in the `weights` field of the solver. Throws: Error if the shapes of a layer differ.
  std::vector<CopiedLayer> load_weights(const std::string& file);

  /// Writes PREFIX_iter_N.caffemodel and .solverstate, each atomically. Returns the file name of
  /// the state. Throws: Error.
  std::string snapshot();
  /// Resumes from a .solverstate or .solverstate.h5 file: bit for bit if Doppio wrote it; if Caffe
  /// did, data layers start over. The weights are those that the state was written with, in the
  /// same folder or at the path that it names; `weights_file` overrides them. Throws: Error.
  void restore(const std::string& state_file, const std::string& weights_file = {});

  /// Reuses the memory of blobs in all nets, see Net::save_memory(). After a pass, only the tops of
  /// data layers and the outputs of a net can be read.
  void save_memory();

  /// The train net on device number `rank`, or a part of it if it is split.
  Net& net(int rank = 0);
  /// Number of train nets in this process, or parts of them, one per device.
  int ranks() const { return static_cast<int>(replicas_.size()); }
  /// The processes that train together; null if there is one.
  ProcessGroup* group() const { return group_.get(); }
  /// Outputs of the train net, in the order of Net::outputs(), averaged over all devices of all
  /// processes. From the last iteration that `display` divides.
  const std::vector<std::vector<float>>& train_outputs() const { return train_outputs_; }
  /// Bytes of gradients and weights that this process sends to others in one iteration.
  std::size_t bytes_per_iteration() const;
  std::vector<std::unique_ptr<Net>>& test_nets() { return test_nets_; }
  const SolverParameter& param() const;
  const LearningRatePolicy& policy() const { return *policy_; }
  int iteration() const { return iteration_; }
  /// Learning rate of the next iteration.
  float learning_rate() const;
  bool stopped_early() const { return stopped_; }
  /// State of the update rule, such as momentum, in the order of snapshots.
  std::vector<Tensor>& history();

  void add_observer(std::shared_ptr<SolverObserver> observer) {
    observers_.push_back(std::move(observer));
  }
  /// Sets the function to poll once per iteration and once per test batch.
  void set_action_source(std::function<SolverAction()> poll) { poll_ = std::move(poll); }

 private:
  friend class SnapshotAccess;
  void build_nets(std::span<Context* const> contexts);
  void destroy_nets();
  void run_passes(std::size_t replicas, const std::function<void(std::size_t)>& pass);
  std::vector<Net*> test_parts(std::size_t index);
  float test_loss(std::size_t index);
  std::vector<std::uint64_t> versions() const;
  std::span<const std::unique_ptr<Replica>> first_copy() const;
  void broadcast_from_first_copy(Tensor& tensor);
  std::unique_ptr<WholeNet> gather_parts(bool with_grads = false);
  void scatter_parts(WholeNet* whole);
  std::vector<CopiedLayer> load_split_weights(const std::string& file);
  void synchronize();
  bool synchronize_ranks();
  void share_statistics();
  float mean_loss(float (Net::*pass)());
  float over_all_ranks(float loss);
  float forward_backward(const UpdateStep& step);
  void average_train_outputs();
  float smoothed(float loss);
  UpdateStep make_step(float learning_rate) const;
  void exchange_in_pass(const UpdateStep* step);
  void finish_exchange(const UpdateStep& step);
  void apply_sharded_update(UpdateStep& step);
  bool updates_early() const;
  SolverAction any_action(SolverAction own);
  void apply_update(UpdateStep step);
  std::vector<SquaredNorms> norms_of_parts();
  std::vector<float> clip_and_scale(UpdateStep& step, std::span<const SquaredNorms> norms);
  bool clips() const;
  float clip_factor(double squares);
  [[noreturn]] void throw_diverged(const std::string& what);
  std::vector<TestResult> test_all();
  std::optional<std::string> test_together(std::size_t index, int batches);
  bool done() const;
  void poll_action();
  void require_snapshots_writable();
  void snapshot_or_log();
  void on_first_rank(const std::function<void()>& action);

  Context& ctx_;
  std::unique_ptr<SourcedSolver> source_;
  std::vector<SolverNet> split_nets_;    // if the net is split: the train net and the test nets
  std::shared_ptr<ProcessGroup> group_;  // null for one process
  std::unique_ptr<Grid> grid_;
  std::vector<std::unique_ptr<Replica>> replicas_;  // one per device of the grid
  std::unique_ptr<ShardedUpdate> sharded_;          // null unless processes average gradients
  std::unique_ptr<WorkerPool> workers_;
  std::vector<std::uint64_t> versions_;  // of the first copy's weights and history after step()
  std::vector<std::unique_ptr<Net>> test_nets_;
  std::vector<std::vector<std::unique_ptr<Net>>> test_parts_;  // the other parts of each test net
  std::unique_ptr<LearningRatePolicy> policy_;
  std::vector<std::shared_ptr<SolverObserver>> observers_;
  std::function<SolverAction()> poll_;
  std::vector<float> recent_losses_;  // of the last average_loss iterations, oldest first
  std::vector<std::vector<float>> train_outputs_;
  int iteration_ = 0;
  int last_snapshot_ = -1;  // its iteration
  std::string last_state_;  // its file
  bool prefix_checked_ = false;
  bool resumed_ = false;  // recent_losses_ came from a snapshot
  bool stopped_ = false;
  bool snapshot_wanted_ = false;
};

}  // namespace doppio
