#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = 1 / (1 + exp(-x)). Source: matches Caffe.
struct Sigmoid {
  explicit Sigmoid(const LayerParameter&) {}
  HOST_DEVICE float value(float x) const { return 1 / (1 + fast_exp(-x)); }
  HOST_DEVICE float slope(float, float y) const { return y * (1 - y); }
};

using SigmoidLayer = Elementwise<Sigmoid>;
DOPPIO_REGISTER_LAYER("Sigmoid", SigmoidLayer, .in_place = true, .backward_reads_bottom = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
