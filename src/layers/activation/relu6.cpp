#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = min(max(x, 0), 6) + negative_slope * min(x, 0).
///
/// In place, slope() is given y for x, which has the same slope unless negative_slope is negative.
/// Source: the ReLU of MobileNet, as in its Caffe ports.
struct Relu6 {
  explicit Relu6(const LayerParameter& p) : negative_slope(p.relu6_param().negative_slope()) {}
  bool keeps_input() const { return negative_slope < 0; }
  HOST_DEVICE float value(float x) const { return x > 6 ? 6 : x > 0 ? x : negative_slope * x; }
  HOST_DEVICE float slope(float x, float) const {
    return x >= 6 ? 0.0f : x > 0 ? 1.0f : negative_slope;
  }

  float negative_slope;
};

using Relu6Layer = Elementwise<Relu6>;
DOPPIO_REGISTER_LAYER("ReLU6", Relu6Layer, .in_place = true, .splits_channels = true);

}  // namespace
}  // namespace doppio
