#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "doppio/extend/layer.hpp"

namespace doppio {

/// Sets the items that a MemoryData layer outputs, batch by batch, starting over at the end:
/// set_memory_data(*net.layer("data").layer, data, labels).
///
/// `data`: n x channels x height x width values, row-major; transform_param is not applied.
/// `labels`: n values. n is a multiple of batch_size. Throws: Error if the sizes do not fit, or if
/// `layer` is of another type. Source: Caffe's MemoryDataLayer::Reset, which does not copy.
void set_memory_data(Layer& layer, std::vector<float> data, std::vector<float> labels);

/// An image of 8-bit pixels, height x width x channels in OpenCV's order (B, G, R).
struct MemoryImage {
  const std::uint8_t* pixels = nullptr;
  Index height = 0, width = 0, channels = 0;
  int label = 0;
};

/// As set_memory_data(), from images to which transform_param is applied. `ctx` is the net's
/// context. Source: Caffe's MemoryDataLayer::AddMatVector.
void set_memory_images(Layer& layer, const Context& ctx, std::span<const MemoryImage> images);

}  // namespace doppio
