#pragma once
#include <algorithm>
#include <span>

#include "doppio/tensor.hpp"

namespace doppio {

/// The layout for a layer of floats to run in: blocked, or NHWC on an accelerator, if the data of
/// one of these blobs is current in it (as floats or bfloat16) and that of all can take it, else
/// NCHW. So a chain of layers passes blocks on without converting.
///
/// Backward runs in the layout of its forward: the layers around want the gradients there as well.
inline Layout run_layout(const Context& ctx, std::span<Blob* const> blobs) {
  const bool on_gpu = ctx.accelerator() != nullptr;
  const auto turned = [](const Blob* b) { return b->data.layout() != Layout::nchw; };
  const auto can_turn = [=](const Blob* b) {
    return on_gpu ? b->shape().axes() == 4 && b->count() > 0 : b->data.can_block();
  };
  const bool all = std::all_of(blobs.begin(), blobs.end(), can_turn);
  const bool any = std::any_of(blobs.begin(), blobs.end(), turned);
  return !all || !any ? Layout::nchw : on_gpu ? Layout::nhwc : Layout::nchw_blocked;
}

inline Layout run_layout(const Context& ctx, const Blob& blob) {
  Blob* const one[] = {const_cast<Blob*>(&blob)};
  return run_layout(ctx, one);
}

/// The same for a layer that computes in bfloat16 too: on an accelerator the layout in which the
/// blob is current, and the type of its values there.
inline Layout current_layout(const Context& ctx, const Blob& blob) {
  return ctx.accelerator() ? blob.data.layout() : run_layout(ctx, blob);
}
inline Element current_element(const Context& ctx, const Blob& blob) {
  return ctx.accelerator() ? blob.data.element() : Element::f32;
}

/// What current_layout() is likely to return once there are data.
inline Layout likely_layout(const Context& ctx, const Blob& blob) {
  return !ctx.accelerator() && blob.data.can_block() ? Layout::nchw_blocked : Layout::nchw;
}

}  // namespace doppio
