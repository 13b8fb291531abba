#include "math/exp.hpp"

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = base^(shift + scale x), computed as exp(rate x + offset). Source: matches Caffe.
struct Exp {
  explicit Exp(const LayerParameter& p) {
    const ExpParameter& e = p.exp_param();
    require_field(e.base() == -1 || e.base() > 0, "exp_param.base", "base is ", e.base(),
                  "; it must be above 0, or -1 for e");
    const float log_base = e.base() == -1 ? 1 : std::log(e.base());
    rate = log_base * e.scale();
    offset = log_base * e.shift();
  }
  HOST_DEVICE float value(float x) const { return fast_exp(rate * x + offset); }
  HOST_DEVICE float slope(float, float y) const { return rate * y; }

  float rate, offset;
};

using ExpLayer = Elementwise<Exp>;
DOPPIO_REGISTER_LAYER("Exp", ExpLayer, .in_place = true, .backward_reads_bottom = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
