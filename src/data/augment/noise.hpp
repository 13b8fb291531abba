#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"

namespace doppio {

class NoiseParameter;

/// Throws: Error for a probability or a JPEG quality that is out of range.
void check_noise(const NoiseParameter& p);

/// Degrades the image or converts its colour space. Lab images have float values. Throws: Error for
/// a gray image whose colour space is to change. Source: matches SSD's Caffe.
void add_noise(cv::Mat& image, const NoiseParameter& p, DrawSequence& draws);

}  // namespace doppio
