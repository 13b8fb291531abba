#include "data/augment/noise.hpp"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/augment/expand.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

/// Applies `change` to the brightness only.
template <class Change>
void change_brightness(cv::Mat& image, Change change) {
  cv::Mat split, brightness = image, changed;
  const bool color = image.channels() == 3;
  if (color) {
    cv::cvtColor(image, split, cv::COLOR_BGR2YCrCb);
    cv::extractChannel(split, brightness, 0);
  }
  change(brightness, changed);
  if (color) {
    cv::insertChannel(changed, split, 0);
    cv::cvtColor(split, image, cv::COLOR_YCrCb2BGR);
  } else {
    image = std::move(changed);
  }
}

void decolorize(cv::Mat& image) {
  if (image.channels() != 3) return;
  cv::Mat gray;
  cv::cvtColor(image, gray, cv::COLOR_BGR2GRAY);
  cv::cvtColor(gray, image, cv::COLOR_GRAY2BGR);
}

void compress(cv::Mat& image, float quality) {
  std::vector<unsigned char> file;
  cv::imencode(".jpg", image, file, {cv::IMWRITE_JPEG_QUALITY, static_cast<int>(quality)});
  image = cv::imdecode(file, image.channels() == 3 ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE);
}

void posterize(cv::Mat& image) {
  constexpr int kStep = 64;
  cv::Mat levels(1, 256, CV_8U), result;
  for (int i = 0; i < 256; ++i)
    levels.ptr()[i] = static_cast<unsigned char>(i / kStep * kStep + kStep / 2);
  cv::LUT(image, levels, result);
  image = std::move(result);
}

void salt_and_pepper(cv::Mat& image, const SaltPepperParameter& p, DrawSequence& draws) {
  const std::vector<float> given(p.value().begin(), p.value().end());
  const cv::Scalar value = channel_values(given, image.channels(), "noise_param");
  const auto pixels = static_cast<double>(image.total());
  for (auto n = static_cast<Index>(p.fraction() * pixels); n > 0; --n) {
    const auto x = static_cast<int>(draws.below(image.cols));
    const auto y = static_cast<int>(draws.below(image.rows));
    image(cv::Rect(x, y, 1, 1)).setTo(value);
  }
}

void change_color_space(cv::Mat& image, const NoiseParameter& p) {
  if (!p.convert_to_hsv() && !p.convert_to_lab()) return;
  require(image.channels() == 3, "noise_param converts colors, but the image is gray; ",
          "set force_color");
  if (p.convert_to_hsv()) cv::cvtColor(image, image, cv::COLOR_BGR2HSV);
  if (!p.convert_to_lab()) return;
  cv::Mat lab;
  image.convertTo(lab, CV_32F, 1.0 / 255);
  cv::cvtColor(lab, image, cv::COLOR_BGR2Lab);
}

}  // namespace

void check_noise(const NoiseParameter& p) {
  const float share = p.saltpepper_param().fraction();
  require_field(share >= 0 && share <= 1, "transform_param.noise_param", "fraction ", share,
                " is out of range; it must be from 0 to 1");
  require_field(p.jpeg() <= 100, "transform_param.noise_param", "jpeg ", p.jpeg(),
                " is out of range; it must be from 1 to 100");
}

void add_noise(cv::Mat& image, const NoiseParameter& p, DrawSequence& draws) {
  constexpr double kMaxContrast = 4;
  if (p.decolorize()) decolorize(image);
  if (p.gauss_blur()) cv::GaussianBlur(image, image, cv::Size(7, 7), 1.5);
  if (p.hist_eq())
    change_brightness(image, [](const cv::Mat& y, cv::Mat& out) { cv::equalizeHist(y, out); });
  if (p.clahe())
    change_brightness(image, [](const cv::Mat& y, cv::Mat& out) {
      cv::createCLAHE(kMaxContrast)->apply(y, out);
    });
  if (p.jpeg() > 0) compress(image, p.jpeg());
  if (p.erode())
    cv::erode(image, image, cv::getStructuringElement(cv::MORPH_ELLIPSE, cv::Size(3, 3)));
  if (p.posterize()) posterize(image);
  if (p.inverse()) cv::bitwise_not(image, image);
  if (p.saltpepper()) salt_and_pepper(image, p.saltpepper_param(), draws);
  change_color_space(image, p);
}

}  // namespace doppio
