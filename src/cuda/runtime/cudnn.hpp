#pragma once
#include <cudnn.h>

#include <string>

#include "cuda/runtime/dynamic_library.hpp"

namespace doppio::cuda {

/// The functions of cuDNN 9 that Doppio calls, without the prefix. The library is loaded on first
/// use, so that programs also run without it.
struct Cudnn : DynamicLibrary {
  Cudnn() : DynamicLibrary("libcudnn.so.9") {}

  DOPPIO_LOAD(cudnn, GetVersion);
  DOPPIO_LOAD(cudnn, GetErrorString);
  DOPPIO_LOAD(cudnn, Create);
  DOPPIO_LOAD(cudnn, Destroy);
  DOPPIO_LOAD(cudnn, SetStream);
  DOPPIO_LOAD(cudnn, CreateTensorDescriptor);
  DOPPIO_LOAD(cudnn, DestroyTensorDescriptor);
  DOPPIO_LOAD(cudnn, SetTensor4dDescriptor);
  DOPPIO_LOAD(cudnn, CreateFilterDescriptor);
  DOPPIO_LOAD(cudnn, DestroyFilterDescriptor);
  DOPPIO_LOAD(cudnn, SetFilter4dDescriptor);
  DOPPIO_LOAD(cudnn, CreateConvolutionDescriptor);
  DOPPIO_LOAD(cudnn, DestroyConvolutionDescriptor);
  DOPPIO_LOAD(cudnn, SetConvolution2dDescriptor);
  DOPPIO_LOAD(cudnn, SetConvolutionGroupCount);
  DOPPIO_LOAD(cudnn, SetConvolutionMathType);
  DOPPIO_LOAD(cudnn, CreateActivationDescriptor);
  DOPPIO_LOAD(cudnn, DestroyActivationDescriptor);
  DOPPIO_LOAD(cudnn, SetActivationDescriptor);
  DOPPIO_LOAD(cudnn, FindConvolutionForwardAlgorithmEx);
  DOPPIO_LOAD(cudnn, GetConvolutionForwardWorkspaceSize);
  DOPPIO_LOAD(cudnn, FindConvolutionBackwardDataAlgorithmEx);
  DOPPIO_LOAD(cudnn, GetConvolutionBackwardDataWorkspaceSize);
  DOPPIO_LOAD(cudnn, FindConvolutionBackwardFilterAlgorithmEx);
  DOPPIO_LOAD(cudnn, GetConvolutionBackwardFilterWorkspaceSize);
  DOPPIO_LOAD(cudnn, ConvolutionForward);
  DOPPIO_LOAD(cudnn, ConvolutionBiasActivationForward);
  DOPPIO_LOAD(cudnn, ConvolutionBackwardData);
  DOPPIO_LOAD(cudnn, ConvolutionBackwardFilter);
};
const Cudnn& cudnn();

/// "cuDNN 9.19.0", the version of the loaded library.
std::string cudnn_version();

/// Throws: InternalError with `doing`, cuDNN's message and how to avoid cuDNN; Error with the
/// remedy if the device is out of memory.
void check_dnn(cudnnStatus_t status, const char* doing);

}  // namespace doppio::cuda
