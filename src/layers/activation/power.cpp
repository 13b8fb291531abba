#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = (shift + scale x)^power. Source: matches Caffe, except that the slope at shift + scale x = 0
/// is exact where Caffe divides 0 by 0.
struct Power {
  explicit Power(const LayerParameter& p)
      : power(p.power_param().power()),
        scale(p.power_param().scale()),
        shift(p.power_param().shift()) {}
  bool keeps_input() const { return power != 1; }
  HOST_DEVICE float value(float x) const { return raise(shift + scale * x, power); }
  HOST_DEVICE float slope(float x, float) const {
    const float factor = power * scale;
    return factor == 0 ? 0 : factor * raise(shift + scale * x, power - 1);
  }
  /// pow() with shortcuts for the common exponents.
  HOST_DEVICE static float raise(float v, float exponent) {
    return exponent == 0 ? 1 : exponent == 1 ? v : exponent == 2 ? v * v : std::pow(v, exponent);
  }

  float power, scale, shift;
};

using PowerLayer = Elementwise<Power>;
DOPPIO_REGISTER_LAYER("Power", PowerLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
