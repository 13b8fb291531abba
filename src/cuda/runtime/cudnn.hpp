#pragma once
#include <cudnn.h>

#include <string>

namespace doppio::cuda {

/// The functions of cuDNN 9 that we call, without the prefix. The library is loaded when they are
/// first asked for, so that a program runs without it as well.
struct Cudnn {
// clang-format off
#define DOPPIO_CUDNN_FUNCTIONS(DO) \
  DO(GetVersion) \
  DO(GetErrorString) \
  DO(Create) \
  DO(Destroy) \
  DO(SetStream) \
  DO(CreateTensorDescriptor) \
  DO(DestroyTensorDescriptor) \
  DO(SetTensor4dDescriptor) \
  DO(CreateFilterDescriptor) \
  DO(DestroyFilterDescriptor) \
  DO(SetFilter4dDescriptor) \
  DO(CreateConvolutionDescriptor) \
  DO(DestroyConvolutionDescriptor) \
  DO(SetConvolution2dDescriptor) \
  DO(SetConvolutionGroupCount) \
  DO(SetConvolutionMathType) \
  DO(CreateActivationDescriptor) \
  DO(DestroyActivationDescriptor) \
  DO(SetActivationDescriptor) \
  DO(FindConvolutionForwardAlgorithmEx) \
  DO(GetConvolutionForwardWorkspaceSize) \
  DO(FindConvolutionBackwardDataAlgorithmEx) \
  DO(GetConvolutionBackwardDataWorkspaceSize) \
  DO(FindConvolutionBackwardFilterAlgorithmEx) \
  DO(GetConvolutionBackwardFilterWorkspaceSize) \
  DO(ConvolutionForward) \
  DO(ConvolutionBiasActivationForward) \
  DO(ConvolutionBackwardData) \
  DO(ConvolutionBackwardFilter)
// clang-format on
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

}  // namespace doppio::cuda
