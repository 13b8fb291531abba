#pragma once
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "doppio/shape.hpp"

namespace doppio {

/// Channels of a decoded image: as in the file, always 3 (B, G, R), or always 1.
enum class Color { as_stored, color, gray };

/// The header of an image file.
struct ImageHeader {
  Index height = 0, width = 0;
  Index channels = 0;  // 0 if the header does not tell (PNG with a palette)
};

/// Maximum number of pixels of a decoded image.
constexpr Index kMaxPixels = 100'000'000;

/// Reads the header of a JPEG or PNG file. Returns nullopt for other formats and damaged headers.
std::optional<ImageHeader> image_header(std::string_view bytes);

/// Decodes an image file (JPEG, PNG and others that OpenCV reads) to 8-bit pixels, H x W x
/// channels. JPEG and PNG images are rotated by their Exif orientation for every `color`. With a
/// `min_side`, a JPEG is decoded at the smallest of 1, 1/2, 1/4 and 1/8 of its size that leaves
/// both sides at least that many pixels, which is faster. Throws: Error if the image is damaged,
/// truncated, larger than kMaxPixels, or has 16-bit pixels.
cv::Mat decode_image(std::string_view bytes, Color color, Index min_side = 0);

}  // namespace doppio
