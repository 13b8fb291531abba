#include "core/cpu.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "doppio/error.hpp"

namespace doppio {

namespace {

Isa detected() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::baseline;
}

Isa allowed() {
  const char* const word = std::getenv("DOPPIO_MAX_ISA");
  if (!word) return Isa::avx512;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (std::string(word) == isa_name(isa)) return isa;
  throw Error(str("DOPPIO_MAX_ISA is '", word, "'; it may be baseline, avx2 or avx512"));
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::baseline:
      break;
  }
  return "baseline";
}

Isa cpu_isa() {
  static const Isa isa = std::min(detected(), allowed());
  return isa;
}

bool cpu_has_bf16() {
#if defined(__x86_64__)
  return cpu_isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace doppio
