#include "cuda/runtime/cudnn.hpp"

#include "cuda/runtime/dynamic_library.hpp"
#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

Cudnn load() {
  Cudnn api;
  DynamicLibrary library("libcudnn.so.9");
#define DOPPIO_CUDNN_FIND(name) api.name = DOPPIO_FIND(library, cudnn##name);
  DOPPIO_CUDNN_FUNCTIONS(DOPPIO_CUDNN_FIND)
#undef DOPPIO_CUDNN_FIND
  api.why_not = library.why_not;
  return api;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn api = load();
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
                          "; convolution_param { engine: GEMM } does without cuDNN"));
}

}  // namespace doppio::cuda
