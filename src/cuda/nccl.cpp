#include "cuda/nccl.hpp"

#include <dlfcn.h>

#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

Nccl load() {
  Nccl api;
#ifdef DOPPIO_EMULATED_CUDA
#define DOPPIO_NCCL_FIND(name) api.name = nccl##name;
#else
  void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    api.why_not = "it was not found (libnccl.so.2); LD_LIBRARY_PATH says where to look";
    return api;
  }
#define DOPPIO_NCCL_FIND(name)                                                   \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "nccl" #name)); \
  if (!api.name) api.why_not = "the one that was found has no function nccl" #name;
#endif
  DOPPIO_NCCL_FUNCTIONS(DOPPIO_NCCL_FIND)
#undef DOPPIO_NCCL_FIND
  return api;
}

}  // namespace

const Nccl& nccl() {
  static const Nccl api = load();
  return api;
}

std::string nccl_version() {
  int version = 0;
  check_nccl(nccl().GetVersion(&version), "asking for its version");
  return str("NCCL ", version / 10000, '.', version / 100 % 100, '.', version % 100);
}

void check_nccl(ncclResult_t status, const char* doing) {
  if (status == ncclSuccess) return;
  throw InternalError(str("NCCL, ", doing, ": ", nccl().GetErrorString(status),
                          "; with NCCL_DEBUG=WARN in the environment it says more"));
}

}  // namespace doppio::cuda
