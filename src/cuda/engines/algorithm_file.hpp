#pragma once
#include <cudnn.h>

#include <functional>
#include <string>

#include "doppio/tensor.hpp"

namespace doppio::cuda {

/// One way to compute one pass of a convolution.
struct ConvolutionAlgorithm {
  static constexpr int kGemm = -1;  ///< not a cuDNN algorithm: the gemm engine computes the pass
  int number = kGemm;               ///< a cudnnConvolution...Algo_t
  cudnnMathType_t math = CUDNN_FMA_MATH;
  Layout layout = Layout::nchw;
  friend bool operator==(const ConvolutionAlgorithm&, const ConvolutionAlgorithm&) = default;
};

struct FoundAlgorithm {
  ConvolutionAlgorithm algorithm;
  bool lasting = true;  ///< false if a lack of memory or a failure affected the choice
};

/// Returns the saved algorithm for `what` ("forward of 64 x 96 ...") if it is `usable`, else the
/// result of `search`. Lasting results are saved in a file per GPU name and cuDNN version in
/// $XDG_CACHE_HOME/doppio (~/.cache/doppio), so that a resumed run uses the same algorithms.
ConvolutionAlgorithm remembered_algorithm(
    const std::string& what, const std::function<bool(const ConvolutionAlgorithm&)>& usable,
    const std::function<FoundAlgorithm()>& search);

}  // namespace doppio::cuda
