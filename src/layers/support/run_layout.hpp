#pragma once
#include <algorithm>
#include <span>

#include "doppio/tensor.hpp"

namespace doppio {

/// Returns the layout for a layer that computes in float32: blocked, or NHWC on an accelerator, if
/// the data of any of these blobs is current in it (as floats or bfloat16) and all support it, else
/// NCHW. So a chain of layers keeps one layout without conversions.
///
/// Backward runs in the layout of its forward pass: adjacent layers expect gradients in it as well.
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

/// As run_layout(), for a layer that also computes in bfloat16: on an accelerator, the layout and
/// the element type in which the blob is current.
inline Layout current_layout(const Context& ctx, const Blob& blob) {
  return ctx.accelerator() ? blob.data.layout() : run_layout(ctx, blob);
}
inline Element current_element(const Context& ctx, const Blob& blob) {
  return ctx.accelerator() ? blob.data.element() : Element::f32;
}

/// Predicts what current_layout() returns once the blob has data.
inline Layout likely_layout(const Context& ctx, const Blob& blob) {
  return !ctx.accelerator() && blob.data.can_block() ? Layout::nchw_blocked : Layout::nchw;
}

}  // namespace doppio
