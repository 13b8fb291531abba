#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = min(max(x, min), max); the gradient passes where min <= x <= max. Source: matches Caffe.
struct Clip {
  explicit Clip(const LayerParameter& p) : min(p.clip_param().min()), max(p.clip_param().max()) {
    require_field(p.has_clip_param(), "clip_param", "Clip needs clip_param { min: ... max: ... }");
    require_field(min <= max, "clip_param.min", "min ", min, " is above max ", max);
  }
  bool keeps_input() const { return true; }
  HOST_DEVICE float value(float x) const { return x < min ? min : x > max ? max : x; }
  HOST_DEVICE float slope(float x, float) const { return x >= min && x <= max ? 1.0f : 0.0f; }

  float min, max;
};

using ClipLayer = Elementwise<Clip>;
DOPPIO_REGISTER_LAYER("Clip", ClipLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
