#pragma once
#include <glog/logging.h>

#include <string>

#include "core/cpu.hpp"
#include "doppio.pb.h"
#include "math/gemm.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Returns the precision of factors that `p` requests. On a CPU without it, warns once and returns
/// float32.
inline Precision read_precision(const LayerParameter& p) {
  const ComputeType type = p.compute_type();
  if (type == FLOAT32) return Precision::float32;
#ifdef DOPPIO_FOR_CUDA
  return type == TF32 ? Precision::tf32 : Precision::bfloat16;
#else
  if (type == BFLOAT16 && cpu_has_bf16()) return Precision::bfloat16;
  LOG_FIRST_N(WARNING, 1) << "compute_type " << ComputeType_Name(type) << ": this CPU has no "
                          << (type == TF32 ? "such numbers" : "AVX512_BF16") << ", so layer '"
                          << p.name() << "' and others are computed in float32";
  return Precision::float32;
#endif
}

#ifdef DOPPIO_FOR_CUDA
/// Returns whether this GPU multiplies TF32 and bfloat16: compute capability 8.0 or higher
/// (src/cuda).
bool multiplies_rounded(const Context& ctx);
#endif

/// Returns `wanted`, or float32 with one warning if this GPU does not support it. For reshape().
inline Precision supported_precision([[maybe_unused]] const Context& ctx, Precision wanted,
                                     [[maybe_unused]] const std::string& layer) {
#ifdef DOPPIO_FOR_CUDA
  if (wanted != Precision::float32 && !multiplies_rounded(ctx)) {
    LOG_FIRST_N(WARNING, 1) << "compute_type " << (wanted == Precision::tf32 ? "TF32" : "BFLOAT16")
                            << ": this GPU has no such products (they need compute capability "
                            << "8.0), so layer '" << layer
                            << "' and others are computed in float32";
    return Precision::float32;
  }
#endif
  return wanted;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
