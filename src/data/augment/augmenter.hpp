#pragma once
#include <memory>
#include <opencv2/core/mat.hpp>

#include "data/image/image_object.hpp"
#include "math/philox.hpp"

namespace doppio {

class AnnotatedDataParameter;
class TransformationParameter;

/// Changes images and the boxes in them at random, for detectors: distorts the colours, puts the
/// image on a larger canvas, crops it, resizes it and adds noise. Crop, mirror and mean follow in
/// Transformer. For use by several threads at a time. Source: matches SSD's Caffe but for its
/// random numbers, and that crops and their boxes are of whole pixels.
class Augmenter {
 public:
  /// Throws: Error for parameters that are out of range.
  Augmenter(const TransformationParameter& transform, const AnnotatedDataParameter& samplers);
  ~Augmenter();

  /// `draws` belongs to this image only, from Transformer::kDraws on. May write to the memory of
  /// `image`. Throws: Error if the image has the wrong channels or is too large.
  void apply(cv::Mat& image, std::vector<ImageObject>& objects, const Random& draws) const;

 private:
  const std::unique_ptr<const TransformationParameter> transform_;
  const std::unique_ptr<const AnnotatedDataParameter> samplers_;
};

}  // namespace doppio
