#pragma once
#include <glog/logging.h>

#include "core/cpu.hpp"
#include "doppio.pb.h"
#include "math/gemm.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// The precision of factors that `p` asks for and this device gains from; warns once if it cannot.
inline Precision read_precision(const LayerParameter& p) {
  if (p.compute_type() != BFLOAT16) return Precision::float32;
#ifndef __CUDACC__
  if (!cpu_has_bf16()) {
    LOG_FIRST_N(WARNING, 1) << "compute_type BFLOAT16: this CPU has no AVX512_BF16, so layer '"
                            << p.name() << "' and others are computed in float32";
    return Precision::float32;
  }
#endif
  return Precision::bfloat16;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
