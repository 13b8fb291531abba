#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"

namespace doppio {

class NoiseParameter;

/// Throws: Error for a share or a JPEG quality that is none.
void check_noise(const NoiseParameter& p);

/// Makes the image worse, or changes its colour space; Lab has floats as values. Throws: Error for
/// a gray image whose colour space is to change. Source: matches SSD's Caffe.
void add_noise(cv::Mat& image, const NoiseParameter& p, DrawSequence& draws);

}  // namespace doppio
