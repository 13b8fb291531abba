#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"

namespace doppio {

class DistortionParameter;

/// Throws: Error for invalid ranges.
void check_distortion(const DistortionParameter& p);

/// Randomly changes brightness, contrast, saturation, hue and the order of channels. Throws: Error
/// for gray images if their colours are to change. Source: matches SSD's Caffe.
void distort(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws);

}  // namespace doppio
