#include "data/transformer.hpp"

#include <algorithm>
#include <type_traits>

#include "core/full_width.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

/// The draws of one image, by number.
enum Draw : Index { kMirrorDraw, kRowDraw, kColumnDraw };

/// What one row of the result is made of.
struct Row {
  const float* means;  // one per pixel, or none and `mean` for all
  float mean;
  float scale;
  bool mirror;
  Index size;
  float* out;
};

template <class Pixel, class Step>
void transform_row(const Pixel* in, Step step, const Row& row) {
  const auto write = [&, out = row.out, scale = row.scale, n = row.size](auto mean) {
    const auto value = [=](Index w) {
      return (static_cast<float>(in[w * step]) - mean(w)) * scale;
    };
    for (Index w = 0; w < n; ++w) out[w] = value(w);
    // Half the time of a loop that writes backwards, which does not vectorise well.
    if (row.mirror) std::reverse(out, out + n);
  };
  if (row.means)
    write([means = row.means](Index w) { return means[w]; });
  else
    write([mean = row.mean](Index) { return mean; });
}

}  // namespace

Transformer::Transformer(const TransformationParameter& param, bool train)
    : train_(train),
      mirror_(param.mirror()),
      crop_(param.crop_size()),
      scale_(param.scale()),
      mean_file_(param.mean_file()),
      mean_value_(param.mean_value().begin(), param.mean_value().end()) {
  require_field(!(param.force_color() && param.force_gray()), "transform_param.force_gray",
                "force_color and force_gray exclude each other");
  if (param.force_color()) color_ = Color::color;
  if (param.force_gray()) color_ = Color::gray;
  require_field(mean_file_.empty() || mean_value_.empty(), "transform_param.mean_value",
                "mean_file and mean_value exclude each other");
}

Shape Transformer::prepare(const Shape& image) {
  prepared_ = image;
  const Index C = image[0];
  if (!mean_file_.empty()) {
    if (!mean_image_) mean_image_ = read_mean_file(mean_file_);
    mean_ = fit_mean(*mean_image_, image, mean_file_);
  } else if (!mean_value_.empty()) {
    const auto given = static_cast<Index>(mean_value_.size());
    require_field(given == 1 || given == C, "transform_param.mean_value", given,
                  " values of mean_value for ", C, " channels; give one, or one per channel");
    mean_ = {{C, 1, 1}, mean_value_};
    mean_.values.resize(static_cast<std::size_t>(C), mean_value_.front());
  }
  mean_per_pixel_ = static_cast<Index>(mean_.values.size()) > C;
  check(image);
  return crop_ > 0 ? Shape{C, crop_, crop_} : image;
}

void Transformer::check(const Shape& image) const {
  require_field(crop_ <= image[1] && crop_ <= image[2], "transform_param.crop_size", "crop_size ",
                crop_, " exceeds the image, ", image.text());
  if (image == prepared_) return;
  require(image[0] == prepared_[0], "the image is ", image.text(), " and the first one ",
          prepared_.text(),
          "; all must have the same channels (force_color and force_gray help "
          "where records hold image files)");
  require(crop_ > 0, "the image is ", image.text(), " and the first one ", prepared_.text(),
          "; give crop_size, or make the database with all images resized");
  require(!mean_per_pixel_, "the image is ", image.text(), " and mean_file ", mean_file_, " ",
          mean_.shape.text(), "; give mean_value, or make the database with all images resized");
}

void Transformer::apply(const Image& image, const Random& draws, float* out) const {
  check(image.shape());
  at_full_width([=, this, &image] {
    if (image.bytes)
      transform(image.bytes, image, draws, out);
    else
      transform(image.floats, image, draws, out);
  });
}

template <class Pixel>
void Transformer::transform(const Pixel* pixels, const Image& image, const Random& draws,
                            float* out) const {
  const Index OH = crop_ > 0 ? crop_ : image.height, OW = crop_ > 0 ? crop_ : image.width;
  const Index spare_h = image.height - OH, spare_w = image.width - OW;
  const Index h0 = train_ ? draws.below(spare_h + 1, kRowDraw) : spare_h / 2;
  const Index w0 = train_ ? draws.below(spare_w + 1, kColumnDraw) : spare_w / 2;
  Row row{nullptr, 0, scale_, mirror_ && draws.below(2, kMirrorDraw) == 1, OW, out};
  for (Index c = 0; c < image.channels; ++c) {
    if (!mean_.values.empty() && !mean_per_pixel_)
      row.mean = mean_.values[static_cast<std::size_t>(c)];
    for (Index h = h0; h < h0 + OH; ++h, row.out += OW) {
      const Pixel* in =
          pixels + c * image.channel_step + h * image.row_step + w0 * image.pixel_step;
      if (mean_per_pixel_)
        row.means = mean_.values.data() + (c * image.height + h) * image.width + w0;
      if (image.pixel_step == 1)  // steps that the compiler knows vectorise
        transform_row(in, std::integral_constant<Index, 1>{}, row);
      else if (image.pixel_step == 3)
        transform_row(in, std::integral_constant<Index, 3>{}, row);
      else
        transform_row(in, image.pixel_step, row);
    }
  }
}

}  // namespace doppio
