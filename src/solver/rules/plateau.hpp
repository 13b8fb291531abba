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

/// Drops the learning rate when a test result stops improving, as the authors of AlexNet did by
/// hand, and ends training when further drops do not help.
///
/// A test improves if its metric, an accuracy (to rise) or a loss (to fall), beats the best so far
/// by more than plateau_min_improvement. After plateau_patience consecutive tests without
/// improvement the rate drops. After plateau_max_drops drops, training ends instead.
class Plateau {
 public:
  /// Throws: Error that names the field which is missing or out of range.
  explicit Plateau(const SolverParameter& param);

  /// Finds the metric among the outputs of the test nets, and logs it. Throws: Error unless exactly
  /// one net has it, as a loss or from an Accuracy layer.
  void watch(const std::vector<std::unique_ptr<Net>>& test_nets);
  /// Counts a test result. Results of nets without the metric are ignored.
  void observe(const TestResult& result);

  int drops() const { return drops_; }
  bool finished() const { return drops_ == max_drops_ && tests_ >= patience_; }
  /// Returns why the last drop or the end occurred: "accuracy has not improved on 0.81 in 5 tests".
  std::string reason() const;

  void save(SolverState& state) const;
  /// Restores the number of drops, and the best value unless `state` watched another metric.
  /// Throws: Error if `state` has more drops than plateau_max_drops.
  void restore(const SolverState& state);

 private:
  std::string metric_;
  int patience_, max_drops_;
  float min_improvement_;
  int net_ = -1;  // the test net with the metric
  bool rises_ = false;
  std::optional<float> best_;
  int tests_ = 0;  // since the best result or the last drop
  int drops_ = 0;
};

}  // namespace doppio
