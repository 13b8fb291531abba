#include "data/augment/resize.hpp"

#include <opencv2/imgproc.hpp>

#include "data/augment/expand.hpp"
#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

int interpolation(const ResizeParameter& p, DrawSequence& draws) {
  if (p.interp_mode_size() == 0) return cv::INTER_LINEAR;
  switch (p.interp_mode(static_cast<int>(draws.below(p.interp_mode_size())))) {
    case ResizeParameter::LINEAR:
      return cv::INTER_LINEAR;
    case ResizeParameter::AREA:
      return cv::INTER_AREA;
    case ResizeParameter::NEAREST:
      return cv::INTER_NEAREST;
    case ResizeParameter::CUBIC:
      return cv::INTER_CUBIC;
    case ResizeParameter::LANCZOS4:
      return cv::INTER_LANCZOS4;
  }
  return cv::INTER_LINEAR;
}

int border(const ResizeParameter& p) {
  switch (p.pad_mode()) {
    case ResizeParameter::CONSTANT:
      return cv::BORDER_CONSTANT;
    case ResizeParameter::MIRRORED:
      return cv::BORDER_REFLECT_101;
    case ResizeParameter::REPEAT_NEAREST:
      return cv::BORDER_REPLICATE;
  }
  return cv::BORDER_CONSTANT;
}

/// Returns the size of the image without padding.
cv::Size wanted_size(const cv::Size& image, const ResizeParameter& p) {
  const cv::Size given(static_cast<int>(p.width()), static_cast<int>(p.height()));
  if (p.resize_mode() == ResizeParameter::WARP) return given;
  const double aspect = static_cast<double>(image.width) / image.height;
  const bool wider = aspect > static_cast<double>(given.width) / given.height;
  const bool width_given = wider == (p.resize_mode() == ResizeParameter::FIT_LARGE_SIZE_AND_PAD);
  const double width = width_given ? given.width : aspect * given.height;
  const double height = width_given ? given.width / aspect : given.height;
  require(width * height <= static_cast<double>(kMaxPixels), "an image of ", image.height, " x ",
          image.width, " pixels is too long to cover ", given.height, " x ", given.width);
  return {std::max(1, static_cast<int>(width)), std::max(1, static_cast<int>(height))};
}

}  // namespace

void check_resizing(const ResizeParameter& p) {
  constexpr unsigned kMaxSide = 1 << 16;
  const unsigned H = p.height(), W = p.width();
  require_field(H > 0 && W > 0 && H <= kMaxSide && W <= kMaxSide && Index{H} * W <= kMaxPixels,
                "transform_param.resize_param", "height ", H, " and width ", W,
                ": give both, from 1 to ", kMaxSide, ", of at most ", kMaxPixels, " pixels");
}

Box resize_image(cv::Mat& image, const ResizeParameter& p, DrawSequence& draws) {
  const cv::Size size = wanted_size(image.size(), p);
  cv::Mat resized;
  cv::resize(image, resized, size, 0, 0, interpolation(p, draws));
  image = std::move(resized);
  if (p.resize_mode() != ResizeParameter::FIT_LARGE_SIZE_AND_PAD) return {0, 0, 1, 1};
  const cv::Size whole(static_cast<int>(p.width()), static_cast<int>(p.height()));
  const cv::Size spare = whole - size;
  const int x = spare.width / 2, y = spare.height / 2;
  const std::vector<float> pad(p.pad_value().begin(), p.pad_value().end());
  cv::Mat padded;
  cv::copyMakeBorder(image, padded, y, spare.height - y, x, spare.width - x, border(p),
                     channel_values(pad, image.channels(), "resize_param"));
  image = std::move(padded);
  return fractions(cv::Rect({-x, -y}, whole), size);
}

}  // namespace doppio
