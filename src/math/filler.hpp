#pragma once
#include <string>
#include <string_view>

#include "doppio/tensor.hpp"

namespace doppio {

class FillerParameter;

/// Writes initial values into `tensor`, drawn by counter: the same for (ctx.seed, layer name,
/// index) on every device and for every number of threads. Does nothing if ctx.dry_run.
///
/// `index` tells the tensors of a layer apart. Types: constant, uniform, gaussian (with sparse),
/// positive_unitball, xavier, msra, bilinear. fan_in = count / shape[0], fan_out = count /
/// shape[1]. Throws: Error for an unknown type ("did you mean") or a shape that the type cannot
/// fill; `field` is the filler's name in the layer's message, where the Error points. Source:
/// matches Caffe in distribution, not in its random numbers.
void fill(const Context& ctx, const FillerParameter& filler, const std::string& layer, int index,
          Tensor& tensor, std::string_view field = "weight_filler");

}  // namespace doppio
