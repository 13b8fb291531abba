#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "doppio/extend/layer.hpp"

namespace doppio {

/// Gives a MemoryData layer the items that it hands out from now on, batch after batch, round and
/// round: set_memory_data(*net.layer("data").layer, data, labels).
///
/// `data`: n x channels x height x width values, row-major, as the net is to see them, without
/// transform_param. `labels`: n. n is a multiple of batch_size. Throws: Error if the sizes do not
/// fit, or if `layer` is of another type. Source: Caffe's MemoryDataLayer::Reset, which copies
/// nothing.
void set_memory_data(Layer& layer, std::vector<float> data, std::vector<float> labels);

/// An image of 8-bit pixels, height x width x channels as OpenCV keeps them (B, G, R).
struct MemoryImage {
  const std::uint8_t* pixels = nullptr;
  Index height = 0, width = 0, channels = 0;
  int label = 0;
};

/// The same from images, which transform_param is applied to; `ctx` is the net's context. Source:
/// Caffe's MemoryDataLayer::AddMatVector.
void set_memory_images(Layer& layer, const Context& ctx, std::span<const MemoryImage> images);

}  // namespace doppio
