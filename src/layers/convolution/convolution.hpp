#pragma once
// Helpers of Convolution and Deconvolution.
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/extend/layer.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/support/precision.hpp"
#include "layers/support/sizes.hpp"
#include "math/filler.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Returns the engine that the user requires, empty if none.
inline const char* forced_engine(const Context& ctx, const ConvolutionParameter& p) {
  switch (ctx.reference ? ConvolutionParameter::GEMM : p.engine()) {
    case ConvolutionParameter::GEMM:
      return "gemm";
    case ConvolutionParameter::WINOGRAD:
      return "winograd";
    case ConvolutionParameter::ONEDNN:
      return "onednn";
    default:
      return "";
  }
}

/// Throws: Error unless all bottoms have the shape of the first; they share the weights.
inline void require_one_shape(Bottoms bottom) {
  const Shape& shape = bottom[0]->shape();
  for (std::size_t i = 1; i < bottom.size(); ++i)
    require_field(bottom[i]->shape() == shape, "bottom", "bottom ", i, " has shape ",
                  bottom[i]->shape().text(), " but bottom 0 has ", shape.text(),
                  "; they share the weights and must be of one shape");
}

/// Creates and fills the weight and, with a bias term, `outputs` biases, unless they exist.
/// Throws: Error if they exist with another shape.
inline void make_convolution_params(const Context& ctx, const ConvolutionParameter& p,
                                    const std::string& layer, const Shape& weight_shape,
                                    Index outputs, std::vector<Blob>& params) {
  if (!params.empty()) {
    require_field(params[0].shape() == weight_shape, "bottom",
                  "the bottom now needs weights of shape ", weight_shape.text(),
                  " but they were made as ", params[0].shape().text(),
                  "; only batch and spatial sizes may change");
    return;
  }
  params.resize(p.bias_term() ? 2 : 1);
  params[0].reshape(weight_shape);
  fill(ctx, p.weight_filler(), layer, 0, params[0].data);
  if (!p.bias_term()) return;
  params[1].reshape({outputs});
  fill(ctx, p.bias_filler(), layer, 1, params[1].data, "bias_filler");
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
