#include "cuda/runtime/cudnn.hpp"

#include "doppio/error.hpp"

namespace doppio::cuda {

const Cudnn& cudnn() {
  static const Cudnn api;
  return api;
}

std::string cudnn_version() {
  const std::size_t version = cudnn().GetVersion();
  return str("cuDNN ", version / 10000, '.', version / 100 % 100, '.', version % 100);
}

void check_dnn(cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  require(status != CUDNN_STATUS_ALLOC_FAILED, "GPU out of memory, cuDNN ", doing,
          "; try a smaller batch_size");
  throw InternalError(str("cuDNN, ", doing, ": ", cudnn().GetErrorString(status),
                          "; convolution_param { engine: GEMM } works without cuDNN"));
}

}  // namespace doppio::cuda
