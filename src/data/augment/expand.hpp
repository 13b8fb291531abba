#pragma once
#include <opencv2/core/mat.hpp>

#include "data/augment/draw_sequence.hpp"
#include "math/box.hpp"

namespace doppio {

class TransformationParameter;

/// Throws: Error unless expand_param is valid and compatible with the mean.
void check_expansion(const TransformationParameter& p);

/// Places the image at a random position of a larger canvas filled with mean_value (expand_param).
/// Returns the canvas in fractions of the image. Source: matches SSD's Caffe.
Box expand(cv::Mat& image, const TransformationParameter& p, DrawSequence& draws);

/// Returns one value per channel: `values` if it has one per channel, its only value for all, or 0
/// if it is empty. Throws: Error that names `field` if it has another size.
cv::Scalar channel_values(const std::vector<float>& values, int channels, const char* field);

/// Returns the rectangle in fractions of an image of this size.
Box fractions(const cv::Rect& rectangle, const cv::Size& image);

}  // namespace doppio
