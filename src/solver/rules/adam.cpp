#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Momentum m, with steps relative to the root mean square of decay b = momentum2. Both averages
/// are corrected for their start at 0, with t = iteration + 1:
/// p = m p + (1 - m) g; q = b q + (1 - b) g^2;
/// w -= r sqrt(1 - b^t) / (1 - m^t) * p / (sqrt(q) + delta). The default momentum is 0.
/// Source: Kingma and Ba, "Adam" (2015); matches Caffe, which does not correct delta.
struct Adam {
  static constexpr int kHistories = 2;
  explicit Adam(const SolverParameter& p)
      : momentum(p.momentum()), momentum2(p.momentum2()), delta(p.delta()) {
    require_field(momentum2 >= 0 && momentum2 < 1, "momentum2",
                  "momentum2 must be at least 0 and less than 1, it is ", momentum2);
  }

  float corrected_rate(float rate, int iteration) const {
    const double t = iteration + 1.0;
    return static_cast<float>(rate * std::sqrt(1 - std::pow(momentum2, t)) /
                              (1 - std::pow(momentum, t)));
  }

  HOST_DEVICE float step(float g, float rate, float& p, float& q) const {
    p = momentum * p + (1 - momentum) * g;
    q = momentum2 * q + (1 - momentum2) * (g * g);
    return rate * (p / (std::sqrt(q) + delta));
  }

  float momentum, momentum2, delta;
};

DOPPIO_REGISTER_UPDATE_RULE("Adam", Adam);

}  // namespace
}  // namespace doppio
