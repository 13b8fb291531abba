#include "cuda/runtime/nccl.hpp"

#include "doppio/error.hpp"

namespace doppio::cuda {

const Nccl& nccl() {
  static const Nccl api;
  return api;
}

std::string nccl_version() {
  int version = 0;
  check_nccl(nccl().GetVersion(&version), "querying its version");
  return str("NCCL ", version / 10000, '.', version / 100 % 100, '.', version % 100);
}

void check_nccl(ncclResult_t status, const char* doing) {
  if (status == ncclSuccess) return;
  throw InternalError(str("NCCL, ", doing, ": ", nccl().GetErrorString(status),
                          "; with NCCL_DEBUG=WARN in the environment it says more"));
}

}  // namespace doppio::cuda
