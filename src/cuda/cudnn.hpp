#pragma once
#include <cudnn.h>

#include <functional>
#include <string>

namespace doppio::cuda {

/// The functions of cuDNN 9 that we call, without the prefix. The library is loaded when they are
/// first asked for, so that a program runs without it as well.
struct Cudnn {
#define DOPPIO_CUDNN_FUNCTIONS(DO)                                                          \
  DO(GetVersion)                                                                            \
  DO(GetErrorString)                                                                        \
  DO(Create)                                                                                \
  DO(Destroy)                                                                               \
  DO(SetStream)                                                                             \
  DO(CreateTensorDescriptor) DO(DestroyTensorDescriptor) DO(SetTensor4dDescriptor)          \
      DO(CreateFilterDescriptor) DO(DestroyFilterDescriptor) DO(SetFilter4dDescriptor)      \
          DO(CreateConvolutionDescriptor) DO(DestroyConvolutionDescriptor)                  \
              DO(SetConvolution2dDescriptor) DO(SetConvolutionGroupCount)                   \
                  DO(SetConvolutionMathType) DO(CreateActivationDescriptor)                 \
                      DO(DestroyActivationDescriptor) DO(SetActivationDescriptor)           \
                          DO(FindConvolutionForwardAlgorithmEx)                             \
                              DO(GetConvolutionForwardWorkspaceSize)                        \
                                  DO(FindConvolutionBackwardDataAlgorithmEx)                \
                                      DO(GetConvolutionBackwardDataWorkspaceSize)           \
                                          DO(FindConvolutionBackwardFilterAlgorithmEx)      \
                                              DO(GetConvolutionBackwardFilterWorkspaceSize) \
                                                  DO(ConvolutionForward)                    \
                                                      DO(ConvolutionBiasActivationForward)  \
                                                          DO(ConvolutionBackwardData)       \
                                                              DO(ConvolutionBackwardFilter)
#define DOPPIO_CUDNN_DECLARE(name) decltype(&cudnn##name) name = nullptr;
  DOPPIO_CUDNN_FUNCTIONS(DOPPIO_CUDNN_DECLARE)
#undef DOPPIO_CUDNN_DECLARE

  std::string why_not;  ///< why it could not be loaded; empty if it was
};
const Cudnn& cudnn();

/// "cuDNN 9.19.0", of the library that was loaded.
std::string cudnn_version();

/// Throws: InternalError that says what was being done, cuDNN's reason and how to do without it;
/// Error with the remedy if the device is out of memory.
void check_dnn(cudnnStatus_t status, const char* doing);

/// One way to compute one pass of a convolution.
struct ConvolutionAlgorithm {
  int number = 0;  ///< a cudnnConvolution...Algo_t
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  friend bool operator==(const ConvolutionAlgorithm&, const ConvolutionAlgorithm&) = default;
};

struct FoundAlgorithm {
  ConvolutionAlgorithm algorithm;
  bool lasting = true;  ///< false if a lack of memory or a failure had a part in the choice
};

/// What `search` finds for `what` ("forward of 64 x 96 ..."), or found before, if it is `usable`:
/// by this program or, on a card of the same name with the same cuDNN, by an earlier one, which
/// left it in a file in $XDG_CACHE_HOME/doppio (~/.cache/doppio). So a training that goes on
/// computes as it began. What is not lasting is not remembered.
ConvolutionAlgorithm remembered_algorithm(
    const std::string& what, const std::function<bool(const ConvolutionAlgorithm&)>& usable,
    const std::function<FoundAlgorithm()>& search);

}  // namespace doppio::cuda
