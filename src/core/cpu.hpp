#pragma once

namespace doppio {

/// Vector instruction sets with Doppio kernels, each a superset of the previous one.
enum class Isa {
  baseline,  ///< any x86-64: SSE2
  avx2,      ///< AVX2 and FMA: 8 floats at a time
  avx512     ///< AVX-512 F, BW, DQ and VL: 16 floats at a time
};

/// Returns the best set of this CPU, limited by the environment variable DOPPIO_MAX_ISA (baseline,
/// avx2 or avx512). Determined at the first call. Throws: Error if the variable has another value.
Isa cpu_isa();

const char* isa_name(Isa isa);

/// True if this CPU multiplies pairs of bfloat16 (AVX512_BF16), at twice the rate of float32, and
/// cpu_isa() is avx512.
bool cpu_has_bf16();

}  // namespace doppio
