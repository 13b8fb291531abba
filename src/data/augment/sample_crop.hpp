#pragma once
#include <google/protobuf/repeated_field.h>

#include <opencv2/core/mat.hpp>
#include <optional>

#include "data/augment/draw_sequence.hpp"
#include "data/image/image_object.hpp"

namespace doppio {

class BatchSampler;
using BatchSamplers = google::protobuf::RepeatedPtrField<BatchSampler>;

/// Throws: Error for invalid ranges.
void check_samplers(const BatchSamplers& samplers);

/// Draws crops for all samplers and returns a random one of those that satisfy their sampler's
/// constraint, in fractions of the image, or nullopt if none does. Source: matches SSD's Caffe,
/// except that one object must satisfy all limits of a constraint.
std::optional<Box> sample_crop(const BatchSamplers& samplers,
                               const std::vector<ImageObject>& objects, DrawSequence& draws);

/// Crops the image to `crop` in whole pixels. Returns these in fractions of the original image.
Box cut_out(cv::Mat& image, const Box& crop);

}  // namespace doppio
