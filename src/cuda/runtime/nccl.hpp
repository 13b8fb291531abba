#pragma once
#include <nccl.h>

#include <string>

namespace doppio::cuda {

/// The functions of NCCL 2 (2.14 or later) that we call, without the prefix. The library is loaded
/// when they are first asked for, so that a program runs without it as well.
struct Nccl {
// clang-format off
#define DOPPIO_NCCL_FUNCTIONS(DO) \
  DO(GetVersion) \
  DO(GetErrorString) \
  DO(GetUniqueId) \
  DO(CommInitRankConfig) \
  DO(CommGetAsyncError) \
  DO(CommDestroy) \
  DO(CommAbort) \
  DO(GroupStart) \
  DO(GroupEnd) \
  DO(AllReduce)
// clang-format on
#define DOPPIO_NCCL_DECLARE(name) decltype(&nccl##name) name = nullptr;
  DOPPIO_NCCL_FUNCTIONS(DOPPIO_NCCL_DECLARE)
#undef DOPPIO_NCCL_DECLARE

  std::string why_not;  ///< why it could not be loaded; empty if it was
};
const Nccl& nccl();

/// "NCCL 2.28.9", of the library that was loaded.
std::string nccl_version();

/// Throws: InternalError that says what was being done and NCCL's reason.
void check_nccl(ncclResult_t status, const char* doing);

}  // namespace doppio::cuda
