#include "data/augment/distort.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr int kHue = 0, kSaturation = 1;

/// Scales hue, saturation or value by `factor` and adds `summand`.
void change_hsv(cv::Mat& image, int channel, float factor, float summand) {
  cv::Mat hsv, changed;
  cv::cvtColor(image, hsv, cv::COLOR_BGR2HSV);
  cv::extractChannel(hsv, changed, channel);
  changed.convertTo(changed, -1, factor, summand);
  cv::insertChannel(changed, hsv, channel);
  cv::cvtColor(hsv, image, cv::COLOR_HSV2BGR);
}

void brightness(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  if (draws.happens(p.brightness_prob()))
    image.convertTo(image, -1, 1, draws.between(-p.brightness_delta(), p.brightness_delta()));
}

void contrast(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  if (draws.happens(p.contrast_prob()))
    image.convertTo(image, -1, draws.between(p.contrast_lower(), p.contrast_upper()));
}

void saturation(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  if (draws.happens(p.saturation_prob()))
    change_hsv(image, kSaturation, draws.between(p.saturation_lower(), p.saturation_upper()), 0);
}

void hue(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  if (draws.happens(p.hue_prob()))
    change_hsv(image, kHue, 1, draws.between(-p.hue_delta(), p.hue_delta()));
}

void channel_order(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  if (!draws.happens(p.random_order_prob())) return;
  std::array<cv::Mat, 3> channels;
  cv::split(image, channels);
  for (std::size_t k = 2; k > 0; --k)
    std::swap(channels[k],
              channels[static_cast<std::size_t>(draws.below(static_cast<Index>(k) + 1))]);
  cv::merge(channels, image);
}

}  // namespace

void check_distortion(const DistortionParameter& p) {
  const auto at_least_0 = [](float value, const char* field) {
    require_field(value >= 0 && std::isfinite(value), "transform_param.distort_param", field,
                  " must not be negative or infinite, it is ", value);
  };
  const auto range = [&](float lower, float upper, const std::string& what) {
    at_least_0(lower, (what + "_lower").c_str());
    at_least_0(upper, (what + "_upper").c_str());
    require_field(upper >= lower, "transform_param.distort_param", what, "_upper ", upper,
                  " is less than ", what, "_lower ", lower);
  };
  at_least_0(p.brightness_delta(), "brightness_delta");
  at_least_0(p.hue_delta(), "hue_delta");
  range(p.contrast_lower(), p.contrast_upper(), "contrast");
  range(p.saturation_lower(), p.saturation_upper(), "saturation");
}

void distort(cv::Mat& image, const DistortionParameter& p, DrawSequence& draws) {
  require(image.channels() == 3 ||
              (p.saturation_prob() <= 0 && p.hue_prob() <= 0 && p.random_order_prob() <= 0),
          "distort_param changes colors, but the image is gray; set force_color");
  const bool contrast_first = draws.happens(0.5f);
  brightness(image, p, draws);
  if (contrast_first) contrast(image, p, draws);
  saturation(image, p, draws);
  hue(image, p, draws);
  if (!contrast_first) contrast(image, p, draws);
  channel_order(image, p, draws);
}

}  // namespace doppio
