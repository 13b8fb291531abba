#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace doppio {

class Net;
class SolverParameter;
class SolverState;
struct TestResult;

/// Drops the learning rate when a test result has stopped improving, as the authors of AlexNet did
/// by hand, and ends training when that no longer helps.
///
/// A test improves if its metric, such as an accuracy (to rise) or a loss (to fall), beats the best
/// so far by more than plateau_min_improvement. After plateau_patience tests in a row that do not,
/// the rate drops; when that happens after plateau_max_drops drops, training is finished.
class Plateau {
 public:
  /// Throws: Error that names the field which is missing or out of range.
  explicit Plateau(const SolverParameter& param);

  /// Finds the metric among the outputs of the test nets, and logs where.
  /// Throws: Error unless exactly one has it, as a loss or from an Accuracy layer.
  void watch(const std::vector<std::unique_ptr<Net>>& test_nets);
  /// Takes a test's result into account; those of nets without the metric do not count.
  void observe(const TestResult& result);

  int drops() const { return drops_; }
  bool finished() const { return drops_ == max_drops_ && tests_ >= patience_; }
  /// "accuracy has not improved on 0.81 in 5 tests": why the last drop or the end came.
  std::string reason() const;

  void save(SolverState& state) const;
  /// Keeps the drops, but looks for the best anew if `state` watched another metric.
  /// Throws: Error if `state` has dropped more often than this one may.
  void restore(const SolverState& state);

 private:
  std::string metric_;
  int patience_, max_drops_;
  float min_improvement_;
  int net_ = -1;  // the test net that has the metric
  bool rises_ = false;
  std::optional<float> best_;
  int tests_ = 0;  // since the best, or the last drop
  int drops_ = 0;
};

}  // namespace doppio
