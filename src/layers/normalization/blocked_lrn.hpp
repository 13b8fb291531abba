#pragma once
#include "core/layout.hpp"
#include "layers/normalization/lrn.hpp"

namespace doppio {

// LRN across channels in Layout::blocked; nothing is kept for backward.

/// True if the work memory of lrn_blocked() suffices for so many channels.
bool lrn_can_block(Index channels, Index reach);

void lrn_blocked(Context& ctx, const Blocks& blocks, const LrnFormula& formula, const float* x,
                 float* y);
void lrn_backward_blocked(Context& ctx, const Blocks& blocks, const LrnFormula& formula,
                          const float* x, const float* dy, float* dx);

}  // namespace doppio
