#include "solver/log_observer.hpp"

#include <glog/logging.h>

#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "doppio.pb.h"
#include "net/net_epoch.hpp"
#include "solver/divergence.hpp"
#include "solver/rules/lr_policy.hpp"

namespace doppio {

namespace {

using Clock = std::chrono::steady_clock;

void log_output(std::string_view which, int index, const std::string& name, float value,
                float weight) {
  std::string loss;
  if (weight != 0) loss = str(" (* ", weight, " = ", weight * value, " loss)");
  LOG(INFO) << "    " << which << " net output #" << index << ": " << name << " = " << value
            << loss;
}

class LogObserver final : public SolverObserver {
 public:
  void on_start(Solver& solver) override {
    LOG(INFO) << "Solving " << solver.net().name();
    LOG(INFO) << "Learning Rate Policy: " << solver.policy().name();
    begin_interval(solver.iteration());
    lr_step_ = solver.policy().current_step();
  }

  void on_iteration(Solver& solver, int iteration, float loss, float rate) override {
    const int display = solver.param().display();
    const bool displayed = display != 0 && iteration % display == 0;
    if (displayed) log_progress(solver, iteration, loss);
    log_step(solver.policy(), iteration, rate);
    if (!displayed) return;
    LOG(INFO) << "Iteration " << iteration << ", lr = " << rate;
    begin_interval(iteration);
    warn_if_saturated(loss);
  }

  void on_clip(Solver& solver, float norm, float factor) override {
    LOG(INFO) << "Gradient clipping: scaling down gradients (L2 norm " << norm << " > "
              << solver.param().clip_gradients() << ") by scale factor " << factor;
  }

  void on_test_start(Solver& solver, int net) override {
    LOG(INFO) << "Iteration " << solver.iteration() << ", Testing net (#" << net << ")";
  }

  void on_test(Solver& solver, const TestResult& result) override {
    note_repeated_images(solver, result.net);
    if (solver.param().test_compute_loss()) LOG(INFO) << "Test loss: " << result.loss;
    int index = 0;
    for (const TestResult::Output& output : result.outputs) {
      if (solver.param().show_per_class_result())
        for (const auto& [label, precision] : output.precisions)
          LOG(INFO) << "class" << label << ": " << precision;
      for (const float value : output.values)
        log_output("Test", index++, output.blob, value, output.loss_weight);
    }
  }

  void on_snapshot(Solver& solver, const std::string& model, const std::string& state) override {
    const bool hdf5 = solver.param().snapshot_format() == SolverParameter::HDF5;
    const std::string_view kind = hdf5 ? "HDF5 file " : "binary proto file ";
    LOG(INFO) << "Snapshotting to " << kind << model;
    LOG(INFO) << "Snapshotting solver state to " << kind << state;
  }

  void on_final_loss(Solver& solver, float loss) override {
    LOG(INFO) << "Iteration " << solver.iteration() << ", loss = " << loss;
  }

  void on_stop(Solver& solver, bool early) override {
    if (solver.policy().finished())
      LOG(INFO) << "Plateau Status: Iteration " << solver.iteration()
                << ", training ends: " << solver.policy().plateau()->reason();
    LOG(INFO) << (early ? "Optimization stopped early." : "Optimization Done.");
  }

 private:
  /// Logs once per test net if test_iter exceeds its data set. The size is known only after a test.
  void note_repeated_images(Solver& solver, int net) {
    const std::optional<Epoch> epoch =
        epoch_of(*solver.test_nets()[static_cast<std::size_t>(net)], false);
    const Index batches = solver.param().test_iter(net);
    const std::string repeated = epoch ? repeated_records(*epoch, batches) : "";
    if (repeated.empty() || !noted_.insert(net).second) return;
    LOG(INFO) << "test_iter " << batches << " x batch " << epoch->batch << ": " << repeated;
  }

  void log_progress(Solver& solver, int iteration, float loss) {
    const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    const double speed = seconds > 0 ? (iteration - since_iteration_) / seconds : 0;
    LOG(INFO) << "Iteration " << iteration << " (" << static_cast<float>(speed) << " iter/s, "
              << static_cast<float>(seconds) << "s/" << solver.param().display()
              << " iters), loss = " << loss;
    log_train_outputs(solver);
  }

  void log_step(const LearningRatePolicy& policy, int iteration, float rate) {
    const int step = policy.current_step();
    if (std::exchange(lr_step_, step) == step) return;
    if (policy.plateau())
      LOG(INFO) << "Plateau Status: Iteration " << iteration << ", step = " << step
                << ", lr = " << rate << ": " << policy.plateau()->reason();
    else
      LOG(INFO) << "MultiStep Status: Iteration " << iteration << ", step = " << step;
  }

  void begin_interval(int iteration) {
    since_ = Clock::now();
    since_iteration_ = iteration;
  }

  /// Logs the train net's outputs, averaged over all devices like the loss.
  static void log_train_outputs(Solver& solver) {
    int index = 0;
    for (std::size_t i = 0; i < solver.train_outputs().size(); ++i) {
      const std::string& name = solver.net().outputs()[i];
      for (const float value : solver.train_outputs()[i])
        log_output("Train", index++, name, value, solver.net().loss_weight(name));
    }
  }

  void warn_if_saturated(float loss) {
    if (warned_ || std::abs(loss - kSaturatedSoftmaxLoss) > 1e-3f) return;
    warned_ = true;
    LOG(WARNING) << "loss = " << kSaturatedSoftmaxLoss << " is where SoftmaxWithLoss ends when it "
                 << "gives every true class the probability 0: training has diverged. Lower "
                 << "base_lr, scale the input, or use clip_gradients.";
  }

  Clock::time_point since_ = Clock::now();
  int since_iteration_ = 0;
  int lr_step_ = 0;
  std::set<int> noted_;  // test nets that note_repeated_images() has logged
  bool warned_ = false;
};

}  // namespace

std::shared_ptr<SolverObserver> make_log_observer() { return std::make_shared<LogObserver>(); }

}  // namespace doppio
