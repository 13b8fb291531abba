#include "data/augment/augmenter.hpp"

#include <opencv2/core.hpp>

#include "data/augment/distort.hpp"
#include "data/augment/expand.hpp"
#include "data/augment/noise.hpp"
#include "data/augment/resize.hpp"
#include "data/augment/sample_crop.hpp"
#include "data/image/transformer.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

Augmenter::Augmenter(const TransformationParameter& transform,
                     const AnnotatedDataParameter& samplers)
    : transform_(std::make_unique<TransformationParameter>(transform)),
      samplers_(std::make_unique<AnnotatedDataParameter>(samplers)) {
  if (transform.has_distort_param()) check_distortion(transform.distort_param());
  if (transform.has_expand_param()) check_expansion(transform);
  check_samplers(samplers.batch_sampler());
  if (transform.has_resize_param()) check_resizing(transform.resize_param());
  if (transform.has_noise_param()) check_noise(transform.noise_param());
}

Augmenter::~Augmenter() = default;

void Augmenter::apply(cv::Mat& image, std::vector<ImageObject>& objects,
                      const Random& random) const {
  const TransformationParameter& p = *transform_;
  const EmitConstraint* emit = p.has_emit_constraint() ? &p.emit_constraint() : nullptr;
  DrawSequence draws(random, Transformer::kDraws);
  try {
    if (p.has_distort_param()) distort(image, p.distort_param(), draws);
    if (p.has_expand_param()) project_objects(objects, expand(image, p, draws), emit);
    if (const auto crop = sample_crop(samplers_->batch_sampler(), objects, draws))
      project_objects(objects, cut_out(image, *crop), emit);
    if (p.has_resize_param())
      project_objects(objects, resize_image(image, p.resize_param(), draws), emit);
    if (p.has_noise_param()) add_noise(image, p.noise_param(), draws);
  } catch (const cv::Exception& e) {
    throw Error(str("cannot change the image: ", e.err));
  }
}

}  // namespace doppio
