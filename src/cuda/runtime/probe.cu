#include "cuda/runtime/probe.hpp"

namespace doppio::cuda {

namespace {
__global__ void nothing() {}
}  // namespace

cudaError_t probe() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, nothing);
  cudaGetLastError();  // clear the error, or the next launch would report it
  return status;
}

}  // namespace doppio::cuda
