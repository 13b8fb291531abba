#include "solver/rules/lars.hpp"

#include <algorithm>
#include <cmath>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

float Lars::rate(const UpdateStep& step, float lr_mult, const SquaredNorms& norms) const {
  if (lr_mult <= 0) return step.rate * lr_mult;
  const double w = std::sqrt(norms.weights);
  const double g = std::sqrt(norms.gradient) * step.clip * step.normalise;
  const double factor = w > 0 && g > 0 ? ratio * w / (g + decay * w) : 1;
  return static_cast<float>(clips ? std::min<double>(step.rate, factor) : step.rate * factor);
}

std::vector<float> Lars::rates(const UpdateStep& step, std::span<const Parameter> parameters,
                               std::span<const SquaredNorms> norms) const {
  std::vector<float> all;
  for (std::size_t p = 0; p < parameters.size(); ++p)
    all.push_back(rate(step, parameters[p].lr_mult, norms[p]));
  return all;
}

std::optional<Lars> lars_of(const SolverParameter& param) {
  require_field(!param.local_lr_auto() || !param.larc(), "larc",
                "larc and local_lr_auto are two forms of the same; turn on only one of them");
  if (param.local_lr_auto()) {
    require_field(param.local_gw_ratio() > 0, "local_gw_ratio",
                  "local_gw_ratio must be greater than 0, it is ", param.local_gw_ratio());
    return Lars{param.local_gw_ratio(), param.weight_decay(), false};
  }
  if (!param.larc()) return std::nullopt;
  const std::string& policy = param.larc_policy();
  require_field(policy == "scale" || policy == "clip", "larc_policy", "unknown larc_policy '",
                policy, "'", did_you_mean(policy, {"scale", "clip"}), "; known are scale and clip");
  require_field(param.larc_eta() > 0, "larc_eta", "larc_eta must be greater than 0, it is ",
                param.larc_eta());
  return Lars{(1.0 - param.momentum()) * param.larc_eta(), 0, policy == "clip"};
}

std::vector<SquaredNorms> squared_norms(Context& ctx, UpdateRule& rule,
                                        std::span<const Parameter> parameters, bool with_weights) {
  std::vector<std::span<const float>> ranges;
  for (const Parameter& p : parameters) {
    ranges.push_back(with_weights ? values_of(ctx, p.blob->data) : std::span<const float>());
    ranges.push_back(values_of(ctx, p.blob->grad));
  }
  const std::vector<double> sums = rule.squared_norms(ctx, ranges);
  std::vector<SquaredNorms> norms;
  for (std::size_t p = 0; p < parameters.size(); ++p)
    norms.push_back({sums[2 * p], sums[2 * p + 1]});
  return norms;
}

}  // namespace doppio
