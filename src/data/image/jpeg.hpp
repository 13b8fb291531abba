#pragma once
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace doppio {

/// Decodes a JPEG file of 1, 3 or 4 (CMYK) channels to `channels` (1, or 3: B, G, R), at 1/`shrink`
/// of its size (1, 2, 4 or 8; rounded up). Pixels equal OpenCV's, in a third of the time. Throws:
/// Error with libjpeg's reason, also if libjpeg would fill missing pixels with gray.
cv::Mat decode_jpeg(std::string_view bytes, int channels, int shrink);

}  // namespace doppio
