#pragma once

namespace doppio {

/// Vector instruction sets that Doppio has kernels for, each a superset of the one before.
enum class Isa {
  baseline,  ///< any x86-64: SSE2
  avx2,      ///< AVX2 and FMA: 8 floats at a time
  avx512     ///< AVX-512 F, BW, DQ and VL: 16 floats at a time
};

/// The best set that this CPU has, or the one that the environment variable DOPPIO_MAX_ISA
/// (baseline, avx2 or avx512) allows, if that is less. Settled at the first call.
/// Throws: Error if the variable holds another word.
Isa cpu_isa();

const char* isa_name(Isa isa);

/// True if this CPU multiplies pairs of bfloat16 (AVX512_BF16), at twice the rate of float32, and
/// cpu_isa() is avx512.
bool cpu_has_bf16();

}  // namespace doppio
