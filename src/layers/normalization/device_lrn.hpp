#pragma once
// LRN, also with the pooling after it, on accelerators, channels first or last, of floats or
// bfloat16 (src/cuda).
#include <cstdint>

#include "layers/normalization/lrn.hpp"
#include "layers/pooling/device_pooling.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// LRN across channels.
void lrn_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula, const float* x,
                   float* y);
void lrn_backward_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                            const float* x, const float* dy, float* dx);

/// LRN and the pooling behind it: what is between them is never written.
void lrn_pool_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                        const DevicePool& pool, const float* x, float* y, std::uint8_t* picked);
void lrn_pool_backward_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                                 const DevicePool& pool, const float* x, const float* dy,
                                 const std::uint8_t* picked, float* dx);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
