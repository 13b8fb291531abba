#pragma once
#include <algorithm>
#include <span>

#include "doppio/tensor.hpp"

namespace doppio {

/// The layout for a layer to run in: blocked if the data of one of these blobs is current in it and
/// that of all can take it, else plain. So a chain of layers passes blocks on without converting.
///
/// Backward runs in the layout of its forward: the layers around want the gradients there as well.
inline Layout run_layout(const Context& ctx, std::span<Blob* const> blobs) {
  const auto blocked = [](const Blob* b) { return b->data.layout() == Layout::blocked; };
  const auto can_block = [](const Blob* b) { return b->data.can_block(); };
  const bool all = !ctx.accelerator() && std::all_of(blobs.begin(), blobs.end(), can_block);
  return all && std::any_of(blobs.begin(), blobs.end(), blocked) ? Layout::blocked : Layout::plain;
}

inline Layout run_layout(const Context& ctx, const Blob& blob) {
  return ctx.accelerator() ? Layout::plain : blob.data.layout();
}

}  // namespace doppio
