#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "layers/elementwise.hpp"

namespace doppio {
namespace {

/// y = max(x, 0) + negative_slope * min(x, 0). Source: matches Caffe.
///
/// In place, x is gone and slope() is given y for it, which has the sign of x unless negative_slope
/// is negative.
struct Relu {
  explicit Relu(const LayerParameter& p) : negative_slope(p.relu_param().negative_slope()) {}
  void check_in_place() const {
    require_field(negative_slope >= 0, "relu_param.negative_slope",
                  "a negative negative_slope cannot work in place; give the top another name");
  }
  HOST_DEVICE float value(float x) const { return x > 0 ? x : negative_slope * x; }
  HOST_DEVICE float slope(float x, float) const { return x > 0 ? 1.0f : negative_slope; }

  float negative_slope;
};

using ReluLayer = Elementwise<Relu>;
DOPPIO_REGISTER_LAYER("ReLU", ReluLayer, .in_place = true);

}  // namespace
}  // namespace doppio
