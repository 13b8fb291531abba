#include "tools/image_input.hpp"

#include <opencv2/imgproc.hpp>

#include "data/image/datum.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

struct Size {
  Index height, width;
};

/// Returns the size to which images are resized for an input of shape `input`.
Size size_before_crop(const ImagePreparation& preparation, const Shape& input) {
  if (preparation.resize > 0) return {preparation.resize, preparation.resize};
  if (!preparation.mean_file.empty()) {
    const Shape mean = read_mean_file(preparation.mean_file).shape;
    if (mean.axes() >= 3 && mean[mean.axes() - 1] > 1)
      return {mean[mean.axes() - 2], mean[mean.axes() - 1]};
  }
  return {input[1], input[2]};
}

}  // namespace

ImageInput::ImageInput(const ImagePreparation& preparation, const Shape& input) {
  require(input.axes() == 3 && (input[0] == 1 || input[0] == 3),
          "the input of the net is not an image; expected 1 or 3 channels x height x width, it is ",
          input.text());
  require(preparation.resize >= 0, "resize must not be negative, it is ", preparation.resize);
  color_ = input[0] == 1 ? Color::gray : Color::color;
  const Size size = size_before_crop(preparation, input);
  height_ = size.height;
  width_ = size.width;

  TransformationParameter param;
  param.set_scale(preparation.scale);
  if (!preparation.mean_file.empty()) param.set_mean_file(preparation.mean_file);
  for (const float value : preparation.mean_value) param.add_mean_value(value);
  if (height_ != input[1] || width_ != input[2]) {
    param.set_crop_h(static_cast<std::uint32_t>(input[1]));
    param.set_crop_w(static_cast<std::uint32_t>(input[2]));
  }
  require(preparation.views <= 2 || param.crop_h() > 0, preparation.views,
          " views of an image need it larger than the net's input of ", input.text(),
          "; give a size to resize it to, or a mean image of that size");
  param.set_views(static_cast<std::uint32_t>(preparation.views));
  transformer_ = std::make_unique<Transformer>(param, false);
  transformer_->prepare({input[0], height_, width_});
}

void ImageInput::read(const std::string& file, float* out) {
  cv::Mat pixels;
  try {
    pixels = decode_image(read_file(file), color_);
  } catch (const Error& e) {
    throw Error(e.message(), {file, 0, 0});
  }
  if (pixels.rows != height_ || pixels.cols != width_) {
    cv::Mat resized;
    cv::resize(pixels, resized, cv::Size(static_cast<int>(width_), static_cast<int>(height_)));
    pixels = std::move(resized);
  }
  Image image;
  image.channels = pixels.channels();
  image.height = pixels.rows;
  image.width = pixels.cols;
  image.bytes = pixels.data;
  image.channel_step = 1;
  image.row_step = static_cast<Index>(pixels.step[0]);
  image.pixel_step = pixels.channels();
  transformer_->apply(image, Random{}, out);
}

}  // namespace doppio
