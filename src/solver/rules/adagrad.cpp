#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Steps shrink with the sum of squared gradients: h += g^2; w -= r g / (sqrt(h) + delta).
/// Source: Duchi et al., "Adaptive subgradient methods" (2011); matches Caffe.
struct AdaGrad {
  static constexpr int kHistories = 1;
  explicit AdaGrad(const SolverParameter& p) : delta(p.delta()) {
    require_field(p.momentum() == 0, "momentum",
                  "AdaGrad has no momentum; remove it or set it to 0");
  }

  HOST_DEVICE float step(float g, float rate, float& h, float&) const {
    h += g * g;
    return rate * (g / (std::sqrt(h) + delta));
  }

  float delta;
};

DOPPIO_REGISTER_UPDATE_RULE("AdaGrad", AdaGrad);

}  // namespace
}  // namespace doppio
