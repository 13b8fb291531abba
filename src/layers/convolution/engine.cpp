#include "layers/convolution/engine.hpp"

#include "doppio/error.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

std::span<const ConvolutionEngineEntry> convolution_engines() {
  static const ConvolutionEngineEntry engines[] = {
#ifndef DOPPIO_FOR_CUDA
      {"padded", why_not_padded_convolution, make_padded_convolution,
       why_slower_padded_convolution},
      {"image", why_not_image_convolution, make_image_convolution, why_slower_image_convolution},
      {"winograd", why_not_winograd_convolution, make_winograd_convolution,
       why_slower_winograd_convolution},
      {"onednn", why_not_onednn_convolution, make_onednn_convolution},
#else
#ifdef DOPPIO_CUDNN
      {"cudnn", why_not_cudnn_convolution, make_cudnn_convolution},
#endif
      {"gemm", why_not_batched_gemm_convolution,
       [](const ConvolutionGeometry& g) { return make_batched_gemm_convolution(g); }},
#endif
      {"gemm", [](const ConvolutionGeometry&) { return std::string(); }, make_gemm_convolution},
  };
  return engines;
}

std::unique_ptr<ConvolutionEngine> make_convolution_engine(const std::string& layer,
                                                           const ConvolutionGeometry& geometry,
                                                           const std::string& forced) {
  std::unique_ptr<ConvolutionEngine> engine =
      make_engine<ConvolutionEngine>(layer, "convolution", convolution_engines(), forced, geometry);
  if (!engine) throw InternalError("no convolution engine takes " + geometry.text());
  return engine;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
