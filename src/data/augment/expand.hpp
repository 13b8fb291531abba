#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"
#include "math/box.hpp"

namespace doppio {

class TransformationParameter;

/// Throws: Error unless expand_param is sound and goes with the mean.
void check_expansion(const TransformationParameter& p);

/// Puts the image at random on a larger canvas of mean_value, as expand_param says. Returns the
/// canvas in fractions of the image. Source: matches SSD's Caffe.
Box expand(cv::Mat& image, const TransformationParameter& p, DrawSequence& draws);

/// `values` for each of the channels: one for all, or one per channel; none: 0.
/// Throws: Error that names `field` if their number is another.
cv::Scalar channel_values(const std::vector<float>& values, int channels, const char* field);

/// The rectangle in fractions of an image of this size.
Box fractions(const cv::Rect& rectangle, const cv::Size& image);

}  // namespace doppio
