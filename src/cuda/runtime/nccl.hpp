#pragma once
#include <nccl.h>

#include <string>

#include "cuda/runtime/dynamic_library.hpp"

namespace doppio::cuda {

/// The functions of NCCL 2 (2.14 or later) that we call, without the prefix. The library is loaded
/// when they are first asked for, so that a program runs without it as well.
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

/// "NCCL 2.28.9", of the library that was loaded.
std::string nccl_version();

/// Throws: InternalError that says what was being done and NCCL's reason.
void check_nccl(ncclResult_t status, const char* doing);

}  // namespace doppio::cuda
