#include "cuda/cudnn.hpp"

#include <dlfcn.h>

#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

Cudnn load() {
  Cudnn api;
#ifdef DOPPIO_EMULATED_CUDA
#define DOPPIO_CUDNN_FIND(name) api.name = cudnn##name;
#else
  void* library = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    api.why_not = "cuDNN 9 was not found (libcudnn.so.9); LD_LIBRARY_PATH says where to look";
    return api;
  }
#define DOPPIO_CUDNN_FIND(name)                                                   \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "cudnn" #name)); \
  if (!api.name) api.why_not = "this cuDNN has no function cudnn" #name;
#endif
  DOPPIO_CUDNN_FUNCTIONS(DOPPIO_CUDNN_FIND)
#undef DOPPIO_CUDNN_FIND
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
