#pragma once
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "doppio/shape.hpp"

namespace doppio {

/// Channels of a decoded image: those of the file, always 3 (B, G, R), or always 1.
enum class Color { as_stored, color, gray };

/// What the head of an image file states.
struct ImageHeader {
  Index height = 0, width = 0;
  Index channels = 0;  // 0 if the head leaves it open (PNG with a palette)
};

/// Largest image that is decoded, in pixels.
constexpr Index kMaxPixels = 100'000'000;

/// Reads the head of a JPEG or PNG file; nothing for other formats and damaged heads.
std::optional<ImageHeader> image_header(std::string_view bytes);

/// Decodes an image file (JPEG, PNG and what else OpenCV reads) to 8-bit pixels, H x W x channels.
/// JPEG and PNG images are turned upright, whatever `color`, as their Exif orientation says. With a
/// `min_side`, a JPEG is decoded at the smallest of 1, 1/2, 1/4 and 1/8 of its size that leaves
/// both sides at least that many pixels, which takes less time. Throws: Error if it is damaged,
/// truncated, larger than kMaxPixels, or has 16-bit pixels.
cv::Mat decode_image(std::string_view bytes, Color color, Index min_side = 0);

}  // namespace doppio
