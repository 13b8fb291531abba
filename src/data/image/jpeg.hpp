#pragma once
#include <opencv2/core/mat.hpp>
#include <string_view>

namespace doppio {

/// Decodes a JPEG file of 1, 3 or 4 (CMYK) channels to `channels` (1, or 3: B, G, R), at 1/`shrink`
/// of its size (1, 2, 4 or 8; rounded up). Gives OpenCV's pixels, but takes a third of its time.
/// Throws: Error with libjpeg's reason, also where libjpeg would fill lost pixels with gray.
cv::Mat decode_jpeg(std::string_view bytes, int channels, int shrink);

}  // namespace doppio
