#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"
#include "math/box.hpp"

namespace doppio {

class ResizeParameter;

/// Throws: Error for invalid sizes.
void check_resizing(const ResizeParameter& p);

/// Resizes the image. With FIT_LARGE_SIZE_AND_PAD it is centred in the result. Returns the result
/// in fractions of the image. Source: matches SSD's Caffe.
Box resize_image(cv::Mat& image, const ResizeParameter& p, DrawSequence& draws);

}  // namespace doppio
