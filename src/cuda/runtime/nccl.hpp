#pragma once
#include <nccl.h>

#include <string>

#include "cuda/runtime/dynamic_library.hpp"

namespace doppio::cuda {

/// The functions of NCCL 2 (2.14 or later) that Doppio calls, without the prefix. The library is
/// loaded on first use, so that programs also run without it.
struct Nccl : DynamicLibrary {
  Nccl() : DynamicLibrary("libnccl.so.2") {}

  DOPPIO_LOAD(nccl, GetVersion);
  DOPPIO_LOAD(nccl, GetErrorString);
  DOPPIO_LOAD(nccl, GetUniqueId);
  DOPPIO_LOAD(nccl, CommInitRankConfig);
  DOPPIO_LOAD(nccl, CommGetAsyncError);
  DOPPIO_LOAD(nccl, CommDestroy);
  DOPPIO_LOAD(nccl, CommAbort);
  DOPPIO_LOAD(nccl, GroupStart);
  DOPPIO_LOAD(nccl, GroupEnd);
  DOPPIO_LOAD(nccl, AllReduce);
};
const Nccl& nccl();

/// "NCCL 2.28.9", the version of the loaded library.
std::string nccl_version();

/// Throws: InternalError with `doing` and NCCL's message unless `status` is success.
void check_nccl(ncclResult_t status, const char* doing);

}  // namespace doppio::cuda
