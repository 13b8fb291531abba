#pragma once
#include <optional>
#include <string>
#include <vector>

#include "solver/rules/plateau.hpp"

namespace doppio {

/// The learning rate as a function of the number of iterations done and, for "plateau", of test
/// results.
///
/// The formulas are in the comments of SolverParameter. Source: matches Caffe. The constructor
/// throws if a missing field would make Caffe divide by zero or train with a rate of 0. "cosine",
/// "plateau", warm-up and min_lr are extensions. min_lr is that of NVIDIA's Caffe. warmup_iter and
/// warmup_start_lr are named as in Intel's Caffe, but warm-up rises to the policy's rate instead of
/// base_lr.
class LearningRatePolicy {
 public:
  /// Throws: Error that names the field which is missing or out of range.
  explicit LearningRatePolicy(const SolverParameter& param);

  const std::string& name() const { return name_; }

  /// Returns the rate of iteration `n`, without side effects.
  float rate(int n) const;

  /// Returns rate(n), and counts a stepvalue of "multistep" that is reached: at most one per call,
  /// as in Caffe, so two equal values take effect in two iterations.
  float advance(int n);

  /// Number of "multistep" stepvalues passed so far, or of "plateau" drops.
  int current_step() const { return plateau_ ? plateau_->drops() : current_step_; }
  /// Has a value for "plateau" only.
  std::optional<Plateau>& plateau() { return plateau_; }
  const std::optional<Plateau>& plateau() const { return plateau_; }
  /// Returns true if "plateau" ends training.
  bool finished() const { return plateau_ && plateau_->finished(); }

  /// Writes the state of the policy to a snapshot.
  void save(SolverState& state) const;
  /// Throws: Error if `state` has passed more steps than the parameters define.
  void restore(const SolverState& state);

 private:
  int step_at(int n) const;
  double scheduled(int n) const;

  std::string name_;
  double base_lr_, gamma_, power_;
  int stepsize_, max_iter_;
  std::vector<int> stepvalues_;
  std::optional<double> min_lr_;
  int warmup_iter_;
  double warmup_start_lr_;
  int current_step_ = 0;  // of "multistep"
  std::optional<Plateau> plateau_;
};

}  // namespace doppio
