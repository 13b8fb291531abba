#pragma once
#include "doppio/net.hpp"

namespace doppio {

/// Logs the mean absolute values of data and gradients in the words of Caffe's `debug_info`.
void log_forward(const NetLayer& layer);
void log_backward(const NetLayer& layer);
/// Logs the L1 and L2 norms over all parameters.
void log_totals(const std::vector<Parameter>& parameters);

}  // namespace doppio
