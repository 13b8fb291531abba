#pragma once
#include "doppio.pb.h"

namespace doppio {

/// Returns whether a BN layer has the form that stores statistics, with four params; BNParameter in
/// the schema describes both forms.
inline bool bn_stores_statistics(const LayerParameter& layer) {
  const BNParameter& p = layer.bn_param();
  if (p.has_momentum() || p.has_eps() || p.has_frozen() || p.has_moving_average() ||
      p.has_slope_filler() || p.has_bias_filler() || layer.param_size() > 2)
    return true;
  return !(p.has_scale_filler() || p.has_shift_filler() || p.has_var_eps() || p.has_bn_mode());
}

}  // namespace doppio
