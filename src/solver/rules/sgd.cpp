#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Gradient descent with momentum m: v = m v + r g; w -= v. The rate r is part of v, so a change of
/// the rate does not rescale earlier steps in v. Source: matches Caffe.
struct Sgd {
  static constexpr int kHistories = 1;
  explicit Sgd(const SolverParameter& p) : momentum(p.momentum()) {}

  HOST_DEVICE float step(float g, float rate, float& v, float&) const {
    return v = momentum * v + rate * g;
  }

  float momentum;
};

DOPPIO_REGISTER_UPDATE_RULE("SGD", Sgd);

}  // namespace
}  // namespace doppio
