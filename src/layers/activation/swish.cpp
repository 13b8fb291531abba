#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = x / (1 + exp(-beta x)). Source: Ramachandran et al. (2017); matches Caffe.
struct Swish {
  explicit Swish(const LayerParameter& p) : beta(p.swish_param().beta()) {}
  bool keeps_input() const { return true; }
  HOST_DEVICE float gate(float x) const { return 1 / (1 + fast_exp(-beta * x)); }
  HOST_DEVICE float value(float x) const { return x * gate(x); }
  HOST_DEVICE float slope(float x, float) const {
    const float g = gate(x);
    return g + beta * x * g * (1 - g);
  }

  float beta;
};

using SwishLayer = Elementwise<Swish>;
DOPPIO_REGISTER_LAYER("Swish", SwishLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
