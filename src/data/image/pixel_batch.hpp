#pragma once
#include <cstdint>

#include "core/host_device.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Accelerator;  // core/accelerator.hpp

/// Parameters of one image of a PixelBatch: offset of the crop in the image, whether the crop is
/// mirrored (0 or 1), and the shift of each channel.
struct PixelView {
  float h0, w0, mirrored, shift[3];
};

/// Crops of images, as bytes in device memory, and the transformation to apply to them:
///   out(n, c, h, w) = (pixel(n, c, h, w) - mean + shift(n, c)) * scale.
/// The crops are already mirrored, the means are not.
struct PixelBatch {
  Index images, channels, height, width;
  const std::uint8_t* pixels;     ///< images x channels x height x width
  const PixelView* views;         ///< one per image
  const float* means;             ///< one per channel or per pixel, null: 0
  Index mean_height, mean_width;  ///< image size if there is a mean per pixel, else 0
  bool shifts;
  float scale;
  float* out;  ///< images x channels x height x width

  HOST_DEVICE void transform(Index n, Index c, Index h, Index w) const {
    const Index i = ((n * channels + c) * height + h) * width + w;
    const PixelView& view = views[n];
    float mean = 0;
    if (mean_height > 0) {
      const Index across = view.mirrored != 0 ? width - 1 - w : w;
      mean = means[(c * mean_height + static_cast<Index>(view.h0) + h) * mean_width +
                   static_cast<Index>(view.w0) + across];
    } else if (means) {
      mean = means[c];
    }
    const float shift = shifts ? view.shift[c] : 0.0f;
    out[i] = (static_cast<float>(pixels[i]) - mean + shift) * scale;
  }
};

/// Transforms all pixels of `batch`, whose pointers are in device memory, in stream order. Not
/// available in builds without CUDA.
void transform_pixels(Accelerator& device, const PixelBatch& batch);

}  // namespace doppio
