#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = tanh(x). Source: matches Caffe.
struct Tanh {
  explicit Tanh(const LayerParameter&) {}
  HOST_DEVICE float value(float x) const { return fast_tanh(x); }
  HOST_DEVICE float slope(float, float y) const { return 1 - y * y; }
};

using TanhLayer = Elementwise<Tanh>;
DOPPIO_REGISTER_LAYER("TanH", TanhLayer, .in_place = true, .backward_reads_bottom = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
