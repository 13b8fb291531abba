#include "data/augment/sample_crop.hpp"

#include <cmath>

#include "data/augment/expand.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

Box draw_crop(const Sampler& p, DrawSequence& draws) {
  const float scale = draws.between(p.min_scale(), p.max_scale());
  // Limits both sides to those of the image.
  const float most = std::min(p.max_aspect_ratio(), 1 / (scale * scale));
  const float least = std::min(std::max(p.min_aspect_ratio(), scale * scale), most);
  const float root = std::sqrt(draws.between(least, most));
  const float width = std::min(1.0f, scale * root), height = std::min(1.0f, scale / root);
  const float x = draws.between(0, 1 - width), y = draws.between(0, 1 - height);
  return {x, y, x + width, y + height};
}

bool has_limit(const SampleConstraint& c) {
  return c.has_min_jaccard_overlap() || c.has_max_jaccard_overlap() ||
         c.has_min_sample_coverage() || c.has_max_sample_coverage() ||
         c.has_min_object_coverage() || c.has_max_object_coverage();
}

bool meets(const SampleConstraint& c, const Box& crop, const Box& object) {
  const float both = overlap(crop, object);
  const float of_crop = coverage(crop, object), of_object = coverage(object, crop);
  return (!c.has_min_jaccard_overlap() || both >= c.min_jaccard_overlap()) &&
         (!c.has_max_jaccard_overlap() || both <= c.max_jaccard_overlap()) &&
         (!c.has_min_sample_coverage() || of_crop >= c.min_sample_coverage()) &&
         (!c.has_max_sample_coverage() || of_crop <= c.max_sample_coverage()) &&
         (!c.has_min_object_coverage() || of_object >= c.min_object_coverage()) &&
         (!c.has_max_object_coverage() || of_object <= c.max_object_coverage());
}

}  // namespace

void check_samplers(const BatchSamplers& samplers) {
  for (int i = 0; i < samplers.size(); ++i) {
    const Sampler& p = samplers[i].sampler();
    const std::string field = str("annotated_data_param.batch_sampler[", i, "]");
    require_field(p.min_scale() > 0 && p.min_scale() <= p.max_scale() && p.max_scale() <= 1, field,
                  "min_scale ", p.min_scale(), " and max_scale ", p.max_scale(),
                  " must be 0 < min_scale <= max_scale <= 1");
    require_field(p.min_aspect_ratio() > 0 && p.min_aspect_ratio() <= p.max_aspect_ratio() &&
                      std::isfinite(p.max_aspect_ratio()),
                  field, "min_aspect_ratio ", p.min_aspect_ratio(), " and max_aspect_ratio ",
                  p.max_aspect_ratio(), " must be 0 < min_aspect_ratio <= max_aspect_ratio");
    constexpr unsigned kMaxTrials = 1'000'000;
    require_field(samplers[i].max_trials() <= kMaxTrials, field, "max_trials must be at most ",
                  kMaxTrials, ", it is ", samplers[i].max_trials());
  }
}

std::optional<Box> sample_crop(const BatchSamplers& samplers,
                               const std::vector<ImageObject>& objects, DrawSequence& draws) {
  std::vector<Box> crops;
  for (const BatchSampler& s : samplers) {
    if (!s.use_original_image()) continue;
    const SampleConstraint& c = s.sample_constraint();
    const std::size_t most = crops.size() + (s.has_max_sample() ? s.max_sample() : s.max_trials());
    for (unsigned trial = 0; trial < s.max_trials() && crops.size() < most; ++trial) {
      const Box crop = draw_crop(s.sampler(), draws);
      const auto met = [&](const ImageObject& a) { return meets(c, crop, a.box); };
      if (!has_limit(c) || std::any_of(objects.begin(), objects.end(), met)) crops.push_back(crop);
    }
  }
  if (crops.empty()) return std::nullopt;
  return crops[static_cast<std::size_t>(draws.below(static_cast<Index>(crops.size())))];
}

Box cut_out(cv::Mat& image, const Box& crop) {
  const auto span = [](float from, float to, int size) {
    const auto pixels = static_cast<float>(size);
    const int first = std::clamp(static_cast<int>(from * pixels), 0, size - 1);
    return cv::Range(first, std::clamp(static_cast<int>(to * pixels), first + 1, size));
  };
  const cv::Range x = span(crop.xmin, crop.xmax, image.cols);
  const cv::Range y = span(crop.ymin, crop.ymax, image.rows);
  const Box whole = fractions({x.start, y.start, x.size(), y.size()}, image.size());
  image = image(y, x).clone();  // later filters must not see pixels outside of the crop
  return whole;
}

}  // namespace doppio
