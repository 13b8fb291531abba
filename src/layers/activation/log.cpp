#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = log(shift + scale x) to the given base. Source: matches Caffe.
struct Log {
  explicit Log(const LayerParameter& p)
      : scale(p.log_param().scale()), shift(p.log_param().shift()) {
    const float base = p.log_param().base();
    require_field(base == -1 || (base > 0 && base != 1), "log_param.base", "base is ", base,
                  "; it must be above 0 and not 1, or -1 for e");
    factor = base == -1 ? 1 : 1 / std::log(base);
  }
  bool keeps_input() const { return true; }
  HOST_DEVICE float value(float x) const { return factor * std::log(shift + scale * x); }
  HOST_DEVICE float slope(float x, float) const { return factor * scale / (shift + scale * x); }

  float scale, shift, factor;
};

using LogLayer = Elementwise<Log>;
DOPPIO_REGISTER_LAYER("Log", LogLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
