#pragma once
#include "core/cpu.hpp"

namespace doppio {

namespace internal {

#ifdef __x86_64__
// `flatten` inlines everything that run() calls, so that it is compiled for these instructions too.
// `run` is passed by value, so that stores through pointers cannot alias its captures.
template <class Run>
[[gnu::flatten, gnu::target("avx2,fma")]] void run_avx2(Run run) {
  run();
}

template <class Run>
[[gnu::flatten,
  gnu::target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,prefer-vector-width=512")]] void
run_avx512(Run run) {
  run();
}
#endif

}  // namespace internal

/// Runs the version of run() that is compiled for cpu_isa().
///
/// Loops in `run`, and in the inline functions that it calls, use vector registers of its size.
/// Sums may differ in the last bit between instruction sets, because some have a fused
/// multiply-add.
template <class Run>
void at_full_width(Run run) {
#ifdef __x86_64__
  switch (cpu_isa()) {
    case Isa::avx512:
      return internal::run_avx512(run);
    case Isa::avx2:
      return internal::run_avx2(run);
    case Isa::baseline:
      break;
  }
#endif
  run();
}

}  // namespace doppio
