#include "solver/lr_policy.hpp"

#include <algorithm>
#include <cmath>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

const std::vector<std::string> kNames = {"fixed",     "step", "exp",    "inv",
                                         "multistep", "poly", "sigmoid"};

void check_fields(const SolverParameter& p) {
  const std::string& policy = p.lr_policy();
  require_field(p.has_lr_policy(), "lr_policy",
                "lr_policy is missing; \"fixed\" keeps the learning rate at base_lr");
  require_field(std::find(kNames.begin(), kNames.end(), policy) != kNames.end(), "lr_policy",
                "unknown lr_policy '", policy, "'", did_you_mean(policy, kNames),
                "; known are fixed, step, exp, inv, multistep, poly, sigmoid");
  require_field(std::isfinite(p.base_lr()), "base_lr", "base_lr must be finite");

  const bool decays = policy == "step" || policy == "exp" || policy == "multistep";
  require_field(!decays || p.has_gamma(), "gamma", "lr_policy '", policy,
                "' needs gamma, the factor by which the learning rate shrinks");
  require_field(p.gamma() >= 0, "gamma", "gamma must not be negative, it is ", p.gamma());
  require_field(policy != "step" || p.stepsize() > 0, "stepsize",
                "lr_policy 'step' needs stepsize > 0, the iterations between two steps; it is ",
                p.stepsize());
  require_field(
      policy != "multistep" || p.stepvalue_size() > 0, "stepvalue",
      "lr_policy 'multistep' needs stepvalue, once for each iteration that starts a step");
  require_field(std::is_sorted(p.stepvalue().begin(), p.stepvalue().end()), "stepvalue",
                "stepvalue must not decrease from one to the next");
  require_field(policy != "poly" || p.max_iter() > 0, "max_iter",
                "lr_policy 'poly' needs max_iter > 0, where the learning rate reaches 0; it is ",
                p.max_iter());
}

}  // namespace

LearningRatePolicy::LearningRatePolicy(const SolverParameter& p)
    : name_(p.lr_policy()),
      base_lr_(p.base_lr()),
      gamma_(p.gamma()),
      power_(p.power()),
      stepsize_(p.stepsize()),
      max_iter_(p.max_iter()),
      stepvalues_(p.stepvalue().begin(), p.stepvalue().end()) {
  check_fields(p);
}

int LearningRatePolicy::step_at(int n) const {
  const auto step = static_cast<std::size_t>(current_step_);
  const bool reached = name_ == "multistep" && step < stepvalues_.size() && n >= stepvalues_[step];
  return current_step_ + (reached ? 1 : 0);
}

float LearningRatePolicy::rate(int n) const {
  double factor = 1;
  if (name_ == "step") factor = std::pow(gamma_, n / stepsize_);
  if (name_ == "exp") factor = std::pow(gamma_, n);
  if (name_ == "inv") factor = std::pow(1 + gamma_ * n, -power_);
  if (name_ == "multistep") factor = std::pow(gamma_, step_at(n));
  // Past max_iter the rate stays 0, where Caffe's becomes nan.
  if (name_ == "poly") factor = std::pow(1 - std::min(1.0, double(n) / max_iter_), power_);
  if (name_ == "sigmoid") factor = 1 / (1 + std::exp(-gamma_ * (n - stepsize_)));
  return static_cast<float>(base_lr_ * factor);
}

float LearningRatePolicy::advance(int n) {
  const float now = rate(n);
  current_step_ = step_at(n);
  return now;
}

void LearningRatePolicy::set_current_step(int step) {
  if (name_ != "multistep") return;
  require(step >= 0 && step <= static_cast<int>(stepvalues_.size()), "the snapshot has passed ",
          step, " stepvalues, but the solver has only ", stepvalues_.size());
  current_step_ = step;
}

}  // namespace doppio
