#pragma once
#include <string>
#include <vector>

namespace doppio {

class SolverParameter;

/// The learning rate as a function of the number of iterations done.
///
/// SolverParameter's comments hold the formulas. Source: matches Caffe; where Caffe would divide by
/// zero or train with a rate of 0 because of a field that was forgotten, the constructor throws.
class LearningRatePolicy {
 public:
  /// Throws: Error that names the field which is missing or out of range.
  explicit LearningRatePolicy(const SolverParameter& param);

  const std::string& name() const { return name_; }

  /// The rate of iteration `n`, which advance(n) would return.
  float rate(int n) const;

  /// rate(n), and counts a stepvalue of "multistep" that is reached: at most one per call, as Caffe
  /// does, so two equal values take effect in two iterations.
  float advance(int n);

  /// Stepvalues passed so far: the state of "multistep", saved in snapshots.
  int current_step() const { return current_step_; }
  /// Throws: Error if there are fewer stepvalues.
  void set_current_step(int step);

 private:
  int step_at(int n) const;

  std::string name_;
  double base_lr_, gamma_, power_;
  int stepsize_, max_iter_;
  std::vector<int> stepvalues_;
  int current_step_ = 0;
};

}  // namespace doppio
