#pragma once
#include <cudnn.h>

#include <functional>
#include <string>

#include "doppio/tensor.hpp"

namespace doppio::cuda {

/// One way to compute one pass of a convolution.
struct ConvolutionAlgorithm {
  static constexpr int kGemm = -1;  ///< no number of cuDNN's: the pass is left to the gemm engine
  int number = kGemm;               ///< a cudnnConvolution...Algo_t
  cudnnMathType_t math = CUDNN_FMA_MATH;
  Layout layout = Layout::nchw;
  friend bool operator==(const ConvolutionAlgorithm&, const ConvolutionAlgorithm&) = default;
};

struct FoundAlgorithm {
  ConvolutionAlgorithm algorithm;
  bool lasting = true;  ///< false if a lack of memory or a failure had a part in the choice
};

/// What `search` finds for `what` ("forward of 64 x 96 ..."), or found before, if it is `usable`:
/// by this program or, on a GPU of the same name with the same cuDNN, by an earlier one, which
/// saved it to a file in $XDG_CACHE_HOME/doppio (~/.cache/doppio). So a resumed run computes as it
/// began. A choice that is not lasting is not saved.
ConvolutionAlgorithm remembered_algorithm(
    const std::string& what, const std::function<bool(const ConvolutionAlgorithm&)>& usable,
    const std::function<FoundAlgorithm()>& search);

}  // namespace doppio::cuda
