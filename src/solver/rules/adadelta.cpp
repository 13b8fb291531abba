#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Steps in the units of the weights. Momentum m is the decay of both averages:
/// h = m h + (1 - m) g^2; u = g sqrt((a + delta) / (h + delta)); a = m a + (1 - m) u^2; w -= r u.
/// The paper has r = 1. Source: Zeiler, "ADADELTA" (2012); matches Caffe.
struct AdaDelta {
  static constexpr int kHistories = 2;
  explicit AdaDelta(const SolverParameter& p) : momentum(p.momentum()), delta(p.delta()) {}

  HOST_DEVICE float step(float g, float rate, float& h, float& a) const {
    h = momentum * h + (1 - momentum) * (g * g);
    const float u = g * std::sqrt((a + delta) / (h + delta));
    a = momentum * a + (1 - momentum) * (u * u);
    return rate * u;
  }

  float momentum, delta;
};

DOPPIO_REGISTER_UPDATE_RULE("AdaDelta", AdaDelta);

}  // namespace
}  // namespace doppio
