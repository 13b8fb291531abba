#pragma once
#include <string>
#include <string_view>

#include "doppio/tensor.hpp"

namespace doppio {

class FillerParameter;

/// Writes initial values into `tensor`, which depend only on (ctx.seed, layer name, index), not on
/// the device or the number of threads. If the layer holds only a part of its channels (ctx.part),
/// writes the values that this part of the whole tensor, along `part_axis`, would have. Does
/// nothing if ctx.dry_run.
///
/// `index` distinguishes the tensors of a layer. Types: constant, uniform, gaussian (with sparse),
/// positive_unitball, xavier, msra, bilinear. fan_in = count / shape[0], fan_out = count /
/// shape[1]. Throws: Error for an unknown type ("did you mean") or a shape that the type does not
/// support; `field` is the filler's field in LayerParameter, for the Error. Source: matches Caffe
/// in distribution, not in its random numbers.
void fill(const Context& ctx, const FillerParameter& filler, const std::string& layer, int index,
          Tensor& tensor, std::string_view field = "weight_filler", Index part_axis = 0);

}  // namespace doppio
