#pragma once
#include <optional>
#include <string>
#include <vector>

#include "solver/rules/plateau.hpp"

namespace doppio {

/// The learning rate as a function of the number of iterations done, and for "plateau" of the
/// tests.
///
/// SolverParameter's comments hold the formulas. Source: matches Caffe; where Caffe would divide by
/// zero or train with a rate of 0 because of a field that was forgotten, the constructor throws.
/// Caffe has no "cosine", no "plateau", no warm-up and no min_lr. min_lr is that of NVIDIA's Caffe.
/// warmup_iter and warmup_start_lr have the names of Intel's, whose warm-up climbs to base_lr; this
/// one climbs to the policy's rate.
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

  /// Stepvalues of "multistep" passed so far, or drops of "plateau".
  int current_step() const { return plateau_ ? plateau_->drops() : current_step_; }
  /// Set for "plateau" only.
  std::optional<Plateau>& plateau() { return plateau_; }
  const std::optional<Plateau>& plateau() const { return plateau_; }
  /// True if "plateau" wants no more iterations.
  bool finished() const { return plateau_ && plateau_->finished(); }

  /// What a snapshot holds of the policy.
  void save(SolverState& state) const;
  /// Throws: Error if `state` has more steps than the parameters.
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
