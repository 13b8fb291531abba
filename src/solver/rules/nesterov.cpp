#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Nesterov's accelerated gradient with momentum m: v' = m v + r g; w -= (1 + m) v' - m v.
/// Source: matches Caffe.
struct Nesterov {
  static constexpr int kHistories = 1;
  explicit Nesterov(const SolverParameter& p) : momentum(p.momentum()) {}

  HOST_DEVICE float step(float g, float rate, float& v, float&) const {
    const float before = v;
    v = momentum * v + rate * g;
    return (1 + momentum) * v - momentum * before;
  }

  float momentum;
};

DOPPIO_REGISTER_UPDATE_RULE("Nesterov", Nesterov);

}  // namespace
}  // namespace doppio
