#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = |x|; its slope at 0 is 0. Source: matches Caffe.
struct AbsVal {
  explicit AbsVal(const LayerParameter&) {}
  bool keeps_input() const { return true; }
  HOST_DEVICE float value(float x) const { return std::abs(x); }
  HOST_DEVICE float slope(float x, float) const { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }
};

using AbsValLayer = Elementwise<AbsVal>;
DOPPIO_REGISTER_LAYER("AbsVal", AbsValLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
