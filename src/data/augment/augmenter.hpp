#pragma once
#include <memory>
#include <opencv2/core/mat.hpp>

#include "data/image/image_object.hpp"
#include "math/philox.hpp"

namespace doppio {

class AnnotatedDataParameter;
class TransformationParameter;

/// Randomly augments images and their boxes for detectors: distorts colours, expands the canvas,
/// crops, resizes and adds noise. Crop, mirror and mean of Transformer follow. Thread-safe. Source:
/// matches SSD's Caffe except for random numbers, and for crops and boxes in whole pixels.
class Augmenter {
 public:
  /// Throws: Error for parameters that are out of range.
  Augmenter(const TransformationParameter& transform, const AnnotatedDataParameter& samplers);
  ~Augmenter();

  /// Augments `image` in place. `draws` are this image's random numbers, used from
  /// Transformer::kDraws on. Throws: Error if the number of channels is wrong or the image too
  /// large.
  void apply(cv::Mat& image, std::vector<ImageObject>& objects, const Random& draws) const;

 private:
  const std::unique_ptr<const TransformationParameter> transform_;
  const std::unique_ptr<const AnnotatedDataParameter> samplers_;
};

}  // namespace doppio
