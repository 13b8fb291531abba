#pragma once
#include <google/protobuf/repeated_field.h>

#include <opencv2/core/mat.hpp>
#include <optional>

#include "data/augment/draw_sequence.hpp"
#include "data/image/image_object.hpp"

namespace doppio {

class BatchSampler;
using BatchSamplers = google::protobuf::RepeatedPtrField<BatchSampler>;

/// Throws: Error for ranges that are none.
void check_samplers(const BatchSamplers& samplers);

/// One of all the crops that meet their sampler's constraint, in fractions of the image; nothing
/// if none does. Source: matches SSD's Caffe, but there a crop may meet the limits of a constraint
/// with several objects, each some of them.
std::optional<Box> sample_crop(const BatchSamplers& samplers,
                               const std::vector<ImageObject>& objects, DrawSequence& draws);

/// Cuts `crop` out, in whole pixels. Returns those in fractions of the image.
Box cut_out(cv::Mat& image, const Box& crop);

}  // namespace doppio
