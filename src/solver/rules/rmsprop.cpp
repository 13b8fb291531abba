#include "doppio.pb.h"
#include "solver/rules/fused.hpp"

namespace doppio {
namespace {

/// Steps relative to the running root mean square of the gradients, with decay d:
/// h = d h + (1 - d) g^2; w -= r g / (sqrt(h) + delta).
/// Source: Tieleman and Hinton, "Lecture 6.5: rmsprop" (2012); matches Caffe.
struct RmsProp {
  static constexpr int kHistories = 1;
  explicit RmsProp(const SolverParameter& p) : decay(p.rms_decay()), delta(p.delta()) {
    require_field(p.momentum() == 0, "momentum",
                  "RMSProp has no momentum; remove it or set it to 0");
    require_field(decay >= 0 && decay < 1, "rms_decay",
                  "rms_decay must be at least 0 and less than 1, it is ", decay);
  }

  HOST_DEVICE float step(float g, float rate, float& h, float&) const {
    h = decay * h + (1 - decay) * (g * g);
    return rate * (g / (std::sqrt(h) + delta));
  }

  float decay, delta;
};

DOPPIO_REGISTER_UPDATE_RULE("RMSProp", RmsProp);

}  // namespace
}  // namespace doppio
