#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = x tanh(log(1 + exp(x))). Source: Misra (2019), the activation of YOLO v4.
struct Mish {
  explicit Mish(const LayerParameter&) {}
  bool keeps_input() const { return true; }
  /// exp(x), bounded where tanh(log(1 + exp(x))) is 1, so that squares do not overflow.
  HOST_DEVICE float bounded_exp(float x) const { return fast_exp(x < 20 ? x : 20); }
  /// With e = exp(x), the hyperbolic tangent is n / (n + 2) for n = (1 + e)^2 - 1.
  HOST_DEVICE float value(float x) const {
    const float e = bounded_exp(x), n = e * (e + 2);
    return x * (n / (n + 2));
  }
  HOST_DEVICE float slope(float x, float) const {
    const float e = bounded_exp(x), n = e * (e + 2), m = n + 2;
    return n / m + x * (4 * e * (1 + e) / m / m);
  }
};

using MishLayer = Elementwise<Mish>;
DOPPIO_REGISTER_LAYER("Mish", MishLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
