#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = 1 for x > threshold, else 0; no gradient passes. Source: matches Caffe.
struct Threshold {
  explicit Threshold(const LayerParameter& p) : threshold(p.threshold_param().threshold()) {}
  HOST_DEVICE float value(float x) const { return x > threshold ? 1.0f : 0.0f; }
  HOST_DEVICE float slope(float, float) const { return 0; }

  float threshold;
};

using ThresholdLayer = Elementwise<Threshold>;
DOPPIO_REGISTER_LAYER("Threshold", ThresholdLayer, .in_place = true, .no_grad_bottoms = 0b1,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
