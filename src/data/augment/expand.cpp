#include "data/augment/expand.hpp"

#include <algorithm>
#include <cmath>

#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

Box fractions(const cv::Rect& r, const cv::Size& image) {
  const auto W = static_cast<float>(image.width), H = static_cast<float>(image.height);
  const auto x = static_cast<float>(r.x), y = static_cast<float>(r.y);
  return {x / W, y / H, (x + static_cast<float>(r.width)) / W,
          (y + static_cast<float>(r.height)) / H};
}

cv::Scalar channel_values(const std::vector<float>& values, int channels, const char* field) {
  if (values.empty()) return {};
  const auto given = static_cast<int>(values.size());
  require_field(given == 1 || given == channels, std::string("transform_param.") + field, given,
                " values of ", field, " for ", channels, " channels; give one, or one per channel");
  cv::Scalar result;
  for (int c = 0; c < channels; ++c)
    result[c] = values[static_cast<std::size_t>(given == 1 ? 0 : c)];
  return result;
}

void check_expansion(const TransformationParameter& p) {
  constexpr float kMaxRatio = 100;
  const float ratio = p.expand_param().max_expand_ratio();
  require_field(ratio >= 1 && ratio <= kMaxRatio, "transform_param.expand_param",
                "max_expand_ratio must be from 1 to ", kMaxRatio, ", it is ", ratio);
  require_field(
      p.mean_file().empty(), "transform_param.expand_param",
      "expand_param needs mean_value: mean_file has no values for the area around an image");
}

Box expand(cv::Mat& image, const TransformationParameter& p, DrawSequence& draws) {
  if (!draws.happens(p.expand_param().prob())) return {0, 0, 1, 1};
  const cv::Size size = image.size();
  // Limits the ratio, so that a large image does not exceed the maximum and end the training.
  const float most = std::sqrt(static_cast<float>(kMaxPixels) /
                               (static_cast<float>(size.height) * static_cast<float>(size.width)));
  const float ratio =
      std::clamp(draws.between(1, p.expand_param().max_expand_ratio()), 1.0f, std::max(1.0f, most));
  const float height = ratio * static_cast<float>(size.height);
  const float width = ratio * static_cast<float>(size.width);
  const cv::Size whole(std::max(size.width, static_cast<int>(width)),
                       std::max(size.height, static_cast<int>(height)));
  const int x = static_cast<int>(draws.below(whole.width - size.width + 1));
  const int y = static_cast<int>(draws.below(whole.height - size.height + 1));
  const std::vector<float> mean(p.mean_value().begin(), p.mean_value().end());
  cv::Mat canvas(whole, image.type(), channel_values(mean, image.channels(), "mean_value"));
  image.copyTo(canvas(cv::Rect({x, y}, size)));
  image = std::move(canvas);
  return fractions(cv::Rect({-x, -y}, whole), size);
}

}  // namespace doppio
