#include "cuda/runtime/probe.hpp"

namespace doppio::cuda {

namespace {
__global__ void nothing() {}
}  // namespace

cudaError_t probe() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, nothing);
  cudaGetLastError();  // what failed here must not fail the next kernel
  return status;
}

}  // namespace doppio::cuda
