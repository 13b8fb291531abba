#include "solver/rules/lr_policy.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

const std::vector<std::string> kNames = {"fixed", "step",    "exp",    "inv",    "multistep",
                                         "poly",  "sigmoid", "cosine", "plateau"};

std::string known_names() {
  std::string all;
  for (const std::string& name : kNames) all += (all.empty() ? "" : ", ") + name;
  return all;
}

void check_fields(const SolverParameter& p) {
  const std::string& policy = p.lr_policy();
  require_field(p.has_lr_policy(), "lr_policy",
                "lr_policy is missing; \"fixed\" keeps the learning rate at base_lr");
  require_field(std::find(kNames.begin(), kNames.end(), policy) != kNames.end(), "lr_policy",
                "unknown lr_policy '", policy, "'", did_you_mean(policy, kNames), "; known are ",
                known_names());
  require_field(std::isfinite(p.base_lr()), "base_lr", "base_lr must be finite");

  const bool decays = policy == "step" || policy == "exp" || policy == "multistep";
  if (decays && !p.has_gamma())
    LOG(WARNING) << "lr_policy '" << policy << "' without gamma: the learning rate drops to 0";
  require_field(p.gamma() >= 0, "gamma", "gamma must not be negative, it is ", p.gamma());
  require_field(policy != "plateau" || (p.gamma() > 0 && p.gamma() < 1), "gamma",
                "lr_policy 'plateau' needs 0 < gamma < 1, the factor of each drop; it is ",
                p.gamma());
  require_field(policy != "step" || p.stepsize() > 0, "stepsize",
                "lr_policy 'step' needs stepsize > 0, the iterations between two steps; it is ",
                p.stepsize());
  if (policy == "multistep" && p.stepvalue_size() == 0)
    LOG(WARNING) << "lr_policy 'multistep' without stepvalue: the learning rate stays the same";
  if (!std::is_sorted(p.stepvalue().begin(), p.stepvalue().end()))
    LOG(WARNING) << "stepvalue decreases: a step begins one iteration after the one before it";
  require_field((policy != "poly" && policy != "cosine") || p.max_iter() > 0, "max_iter",
                "lr_policy '", policy,
                "' needs max_iter > 0, where the learning rate is lowest; it is ", p.max_iter());
  require_field(policy != "plateau" || p.max_iter() > 0, "max_iter",
                "lr_policy 'plateau' needs max_iter > 0, where training ends at the latest; it is ",
                p.max_iter());
  require_field(p.min_lr() >= 0, "min_lr", "min_lr must not be negative, it is ", p.min_lr());
  require_field(!p.has_min_lr() || p.min_lr() <= p.base_lr(), "min_lr", "min_lr ", p.min_lr(),
                " exceeds base_lr ", p.base_lr());
  require_field(p.warmup_iter() >= 0, "warmup_iter", "warmup_iter must not be negative, it is ",
                p.warmup_iter());
  require_field(std::isfinite(p.warmup_start_lr()), "warmup_start_lr",
                "warmup_start_lr must be finite");
}

}  // namespace

LearningRatePolicy::LearningRatePolicy(const SolverParameter& p)
    : name_(p.lr_policy()),
      base_lr_(p.base_lr()),
      gamma_(p.gamma()),
      power_(p.power()),
      stepsize_(p.stepsize()),
      max_iter_(p.max_iter()),
      stepvalues_(p.stepvalue().begin(), p.stepvalue().end()),
      warmup_iter_(p.warmup_iter()),
      warmup_start_lr_(p.warmup_start_lr()) {
  check_fields(p);
  if (p.has_min_lr()) min_lr_ = p.min_lr();
  if (name_ == "plateau") plateau_.emplace(p);
}

int LearningRatePolicy::step_at(int n) const {
  const auto step = static_cast<std::size_t>(current_step_);
  const bool reached = name_ == "multistep" && step < stepvalues_.size() && n >= stepvalues_[step];
  return current_step_ + (reached ? 1 : 0);
}

/// Returns the rate without min_lr and warm-up.
double LearningRatePolicy::scheduled(int n) const {
  double factor = 1;
  if (name_ == "step") factor = std::pow(gamma_, n / stepsize_);
  if (name_ == "exp") factor = std::pow(gamma_, n);
  if (name_ == "inv") factor = std::pow(1 + gamma_ * n, -power_);
  if (name_ == "multistep") factor = std::pow(gamma_, step_at(n));
  if (name_ == "plateau") factor = std::pow(gamma_, plateau_->drops());
  if (name_ == "sigmoid") factor = 1 / (1 + std::exp(-gamma_ * (n - stepsize_)));
  if (name_ != "poly" && name_ != "cosine") return base_lr_ * factor;
  // After max_iter the rate stays at its minimum, while Caffe's becomes nan.
  const double done = std::min(1.0, static_cast<double>(n) / max_iter_);
  factor =
      name_ == "poly" ? std::pow(1 - done, power_) : (1 + std::cos(std::numbers::pi * done)) / 2;
  const double lowest = min_lr_.value_or(0);
  return lowest + (base_lr_ - lowest) * factor;
}

float LearningRatePolicy::rate(int n) const {
  double rate = scheduled(n);
  if (min_lr_) rate = std::max(*min_lr_, rate);
  if (n < warmup_iter_) {
    const int steps = warmup_start_lr_ == 0 ? n + 1 : n;  // a rate of 0 would waste an iteration
    rate = warmup_start_lr_ + (rate - warmup_start_lr_) * steps / warmup_iter_;
  }
  return static_cast<float>(rate);
}

float LearningRatePolicy::advance(int n) {
  const float now = rate(n);
  current_step_ = step_at(n);
  return now;
}

void LearningRatePolicy::save(SolverState& state) const {
  state.set_current_step(current_step_);
  if (plateau_) plateau_->save(state);
}

void LearningRatePolicy::restore(const SolverState& state) {
  if (plateau_) plateau_->restore(state);
  if (name_ != "multistep") return;
  const int step = state.current_step();
  require(step >= 0 && step <= static_cast<int>(stepvalues_.size()), "the snapshot has passed ",
          step, " stepvalues, but the solver has only ", stepvalues_.size());
  current_step_ = step;
}

}  // namespace doppio
