#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = max(x, 0) + negative_slope * min(x, 0). Source: matches Caffe.
///
/// In place, slope() is given y for x, which has the same sign unless negative_slope is negative.
struct Relu {
  explicit Relu(const LayerParameter& p) : negative_slope(p.relu_param().negative_slope()) {}
  bool keeps_input() const { return negative_slope < 0; }
  Follower as_follower() const { return {.relu = negative_slope == 0}; }
  HOST_DEVICE float value(float x) const { return x > 0 ? x : negative_slope * x; }
  HOST_DEVICE float slope(float x, float) const { return x > 0 ? 1.0f : negative_slope; }

  float negative_slope;
};

using ReluLayer = Elementwise<Relu>;
DOPPIO_REGISTER_LAYER("ReLU", ReluLayer, .in_place = true, .splits_channels = true);

}  // namespace
}  // namespace doppio
