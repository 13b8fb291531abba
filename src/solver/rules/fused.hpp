#pragma once
#include "math/kernel.hpp"
#include "solver/rules/update_rule.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// An update rule in one pass over memory.
///
/// `Rule` is trivially copyable and constructed from the SolverParameter. It has kHistories and
/// `step(g, rate, h, a)`, which kernels call: it updates the history h (and a, if kHistories is 2)
/// of one weight with gradient g and returns the value to subtract from the weight. A rule whose
/// rate depends on the iteration beyond the policy also defines `corrected_rate(rate, iteration)`.
template <class Rule>
class Fused final : public UpdateRule {
 public:
  explicit Fused(const SolverParameter& p) : rule_(p) {}

  int history_count() const override { return Rule::kHistories; }

  void update(Context& ctx, const UpdateStep& s, const ParameterMemory& memory) override {
    float rate = s.rate;
    if constexpr (requires { rule_.corrected_rate(rate, s.iteration); })
      rate = rule_.corrected_rate(rate, s.iteration);
    parallel_for(ctx, memory.count,
                 [=, rule = rule_, clip = s.clip, normalise = s.normalise, l1 = s.l1, l2 = s.l2,
                  grad = memory.grad, weight = memory.weight, h = memory.first,
                  a = memory.second] KERNEL(Index i) {
      const float w = weight[i];
      const float sign = static_cast<float>(w > 0) - static_cast<float>(w < 0);
      const float g = grad[i] * clip * normalise + (l2 * w + l1 * sign);
      weight[i] = w - rule.step(g, rate, h[i], a[i]);
    });
  }

  std::vector<double> squared_norms(Context& ctx,
                                    std::span<const std::span<const float>> ranges) override {
    sums_.reshape({static_cast<Index>(ranges.size())});
    float* sum = sums_.write(ctx);
    for (const std::span<const float> range : ranges)
      reduce_rows(ctx, 1, static_cast<Index>(range.size()), 0.0, Sum{}, sum++,
                  [value = range.data()] KERNEL(Index, Index i) {
        return static_cast<double>(value[i]) * value[i];
      });
    const float* sums = sums_.read_host();
    return {sums, sums + ranges.size()};
  }

 private:
  Rule rule_;
  Tensor sums_;  // of the squares of each range
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio

/// Registers `Rule` as solver type `type` for the device that this file is compiled for.
#define DOPPIO_REGISTER_UPDATE_RULE(type, Rule)                                                 \
  [[maybe_unused]] const bool registered_##Rule = ::doppio::UpdateRuleRegistry::instance().add( \
      type, ::doppio::kDevice,                                                                  \
      [](const ::doppio::SolverParameter& p) -> std::unique_ptr<::doppio::UpdateRule> {         \
        using Made = ::doppio::Fused<Rule>;                                                     \
        return std::make_unique<Made>(p);                                                       \
      })
