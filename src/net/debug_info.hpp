#pragma once
#include "doppio/net.hpp"

namespace doppio {

/// The lines of `debug_info: true`, in Caffe's wording: mean absolute values of data and gradients.
void log_forward(const NetLayer& layer);
void log_backward(const NetLayer& layer);
/// L1 and L2 norms over all parameters.
void log_totals(const std::vector<Parameter>& parameters);

}  // namespace doppio
