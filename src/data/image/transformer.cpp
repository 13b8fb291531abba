#include "data/image/transformer.hpp"

#include <algorithm>
#include <vector>

#include "core/at.hpp"
#include "core/with_context.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/sha256.hpp"
#include "math/full_width.hpp"
#include "math/normal.hpp"

namespace doppio {

namespace {

/// Indices of an image's random numbers, and the block of four that determines its shift.
enum Draw : Index { kMirrorDraw, kRowDraw, kColumnDraw };
constexpr std::uint64_t kShiftBlock = 1;

/// Parameters of one row of the result.
struct Row {
  const float* means;  // one per pixel; null: `mean` for all
  float mean;
  float shift;
  float scale;
  bool mirror;
  Index size;
  float* out;
};

template <class Pixel>
void transform_row(const Pixel* in, Index step, const Row& row) {
  const auto write =
      [&, out = row.out, shift = row.shift, scale = row.scale, n = row.size](auto at, auto mean) {
    for (Index w = 0; w < n; ++w)
      out[w] = (static_cast<float>(in[at(w)]) - mean(w) + shift) * scale;
    // Twice as fast as writing backwards, which does not vectorise well.
    if (row.mirror) std::reverse(out, out + n);
  };
  const auto write_from = [&](auto at) {
    if (row.means)
      write(at, [means = row.means](Index w) { return means[w]; });
    else
      write(at, [mean = row.mean](Index) { return mean; });
  };
  if (step == 1)  // a constant stride vectorises
    write_from([](Index w) { return w; });
  else
    write_from([step](Index w) { return w * step; });
}

/// Splits `n` interleaved pixels of three channels into three rows of `out`.
template <class Pixel>
void take_apart(const Pixel* __restrict in, Index n, Pixel* __restrict out) {
  for (Index w = 0; w < n; ++w) {
    out[w] = in[3 * w];
    out[n + w] = in[3 * w + 1];
    out[2 * n + w] = in[3 * w + 2];
  }
}

/// Computes out(c, h, w) = image(c, h0 + h, w0 + w), where mirroring reverses w.
void copy_crop(const Image& image, const Transformer::View& view, std::uint8_t* out) {
  const Index OH = view.height, OW = view.width;
  const bool interleaved = image.pixel_step == 3 && image.channel_step == 1;
  std::vector<std::uint8_t> planes(static_cast<std::size_t>(interleaved ? 3 * OW : 0));
  for (Index h = 0; h < OH; ++h) {
    const std::uint8_t* from =
        image.bytes + (view.h0 + h) * image.row_step + view.w0 * image.pixel_step;
    if (interleaved) take_apart(from, OW, planes.data());
    for (Index c = 0; c < image.channels; ++c) {
      const std::uint8_t* row =
          interleaved ? planes.data() + c * OW : from + c * image.channel_step;
      const Index step = interleaved ? 1 : image.pixel_step;
      std::uint8_t* to = out + (c * OH + h) * OW;
      for (Index w = 0; w < OW; ++w) to[w] = row[w * step];
      if (view.mirror) std::reverse(to, to + OW);
    }
  }
}

}  // namespace

Transformer::Transformer(const TransformationParameter& param, bool train)
    : train_(train),
      mirror_(param.mirror()),
      crop_h_(param.has_crop_h() ? param.crop_h() : param.crop_size()),
      crop_w_(param.has_crop_w() ? param.crop_w() : param.crop_size()),
      views_(param.views()),
      scale_(param.scale()),
      mean_file_(param.mean_file()),
      mean_value_(param.mean_value().begin(), param.mean_value().end()),
      pca_file_(param.pca_file()),
      pca_std_(param.pca_std()) {
  require_field(!(param.force_color() && param.force_gray()), "transform_param.force_gray",
                "force_color and force_gray exclude each other");
  require_field(param.has_crop_h() == param.has_crop_w() && (crop_h_ > 0) == (crop_w_ > 0) &&
                    !(param.has_crop_h() && param.crop_size() > 0),
                "transform_param.crop_h", "give crop_size, or both crop_h and crop_w");
  require_no_augmentation(param);
  if (param.force_color()) color_ = Color::color;
  if (param.force_gray()) color_ = Color::gray;
  require_field(mean_file_.empty() || mean_value_.empty(), "transform_param.mean_value",
                "mean_file and mean_value exclude each other");
  require_field(pca_std_ >= 0, "transform_param.pca_std", "pca_std must not be negative, it is ",
                pca_std_);
  require_field(views_ == 1 || views_ == 2 || views_ == 5 || views_ == 10, "transform_param.views",
                "views must be 1, 2, 5 or 10, it is ", views_);
  require_field(views_ == 1 || !train_, "transform_param.views",
                "views are for phase TEST; in TRAIN an image gives one crop, drawn at random");
  require_field(views_ <= 2 || crop_h_ > 0, "transform_param.views", views_,
                " views need crop_size smaller than the image");
}

void Transformer::read_files() {
  constexpr double kWhite = 255;
  if (!mean_file_.empty() && !mean_image_)
    mean_image_ = with_context(field_context("transform_param.mean_file"),
                               [&] { return read_mean_file(mean_file_); });
  if (!train_ || pca_file_.empty() || shifts_) return;
  const ColorComponents components = with_context(field_context("transform_param.pca_file"),
                                                  [&] { return read_color_components(pca_file_); });
  shifts_.emplace();
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t c = 0; c < 3; ++c)
      (*shifts_)[k][c] =
          static_cast<float>(components.variances[k] / kWhite * components.directions[k][c]);
}

std::string Transformer::fingerprint() const {
  std::string text;
  const auto add = [&](const char* name, const float* values, std::size_t count) {
    text += str(text.empty() ? "" : ", ", name, " ", short_sha256(values, count * sizeof(float)));
  };
  if (mean_image_) add("mean_file", mean_image_->values.data(), mean_image_->values.size());
  if (shifts_) add("pca_file", shifts_->front().data(), sizeof *shifts_ / sizeof(float));
  return text;
}

Shape Transformer::prepare(const Shape& image) {
  read_files();
  prepared_ = image;
  const Index C = image[0];
  if (mean_image_) {
    mean_ = with_context(field_context("transform_param.mean_file"),
                         [&] { return fit_mean(*mean_image_, image, mean_file_); });
  } else if (!mean_value_.empty()) {
    const auto given = static_cast<Index>(mean_value_.size());
    require_field(given == 1 || given == C, "transform_param.mean_value", given,
                  " values of mean_value for ", C, " channels; give one, or one per channel");
    mean_ = {{C, 1, 1}, mean_value_};
    mean_.values.resize(static_cast<std::size_t>(C), mean_value_.front());
  }
  mean_per_pixel_ = static_cast<Index>(mean_.values.size()) > C;
  require_field(!shifts_ || C == 3, "transform_param.pca_file",
                "pca_file is for images of 3 channels; the image is ", image.text(),
                "; leave pca_file out");
  check(image);
  require_field(views_ <= 2 || crop_h_ < image[1] || crop_w_ < image[2], "transform_param.views",
                views_, " views need crop_size smaller than the image; crop_size is ", crop_text(),
                " and the image ", image.text());
  return crop_h_ > 0 ? Shape{C, crop_h_, crop_w_} : image;
}

std::string Transformer::crop_text() const {
  return crop_h_ == crop_w_ ? str(crop_h_) : str(crop_h_, " x ", crop_w_);
}

void Transformer::check(const Shape& image) const {
  require_field(crop_h_ <= image[1] && crop_w_ <= image[2], "transform_param.crop_size",
                "crop_size ", crop_text(), " exceeds the image, ", image.text());
  if (image == prepared_) return;
  require(image[0] == prepared_[0], "the image is ", image.text(), " and the first one ",
          prepared_.text(),
          "; all must have the same channels (force_color and force_gray help "
          "where records hold image files)");
  require(crop_h_ > 0, "the image is ", image.text(), " and the first one ", prepared_.text(),
          "; give crop_size, or make the database with all images resized");
  require(!mean_per_pixel_, "the image is ", image.text(), " and mean_file ", mean_file_, " ",
          mean_.shape.text(), "; give mean_value, or make the database with all images resized");
}

Transformer::View Transformer::apply(const Image& image, const Random& draws, float* out) const {
  check(image.shape());
  View view{};
  for (Index v = 0; v < views_; ++v, out += image.channels * view.height * view.width) {
    view = view_number(v, image, draws);
    at_full_width([=, this, &image, &view] {
      if (image.bytes)
        transform(image.bytes, image, view, out);
      else
        transform(image.floats, image, view, out);
    });
  }
  return view;
}

Transformer::View Transformer::cut(const Image& image, const Random& draws, std::uint8_t* out,
                                   PixelView* views) const {
  check(image.shape());
  require(image.bytes != nullptr,
          "the image is of floats and the first one of bytes; make the database of one kind");
  View view{};
  for (Index v = 0; v < views_; ++v, out += image.channels * view.height * view.width) {
    view = view_number(v, image, draws);
    views[v] = {static_cast<float>(view.h0),
                static_cast<float>(view.w0),
                view.mirror ? 1.0f : 0.0f,
                {view.shift[0], view.shift[1], view.shift[2]}};
    at_full_width([=, &image, &view] { copy_crop(image, view, out); });
  }
  return view;
}

PixelBatch Transformer::rest(Index images, const std::uint8_t* pixels, const PixelView* views,
                             const float* means, float* out) const {
  const Index H = prepared_[1], W = prepared_[2];
  return {images,
          prepared_[0],
          crop_h_ > 0 ? crop_h_ : H,
          crop_w_ > 0 ? crop_w_ : W,
          pixels,
          views,
          mean_.values.empty() ? nullptr : means,
          mean_per_pixel_ ? H : 0,
          mean_per_pixel_ ? W : 0,
          shifts_.has_value(),
          scale_,
          out};
}

Transformer::View Transformer::view_number(Index number, const Image& image,
                                           const Random& draws) const {
  return views_ == 1 ? drawn_view(image, draws) : fixed_view(image, number);
}

Transformer::View Transformer::drawn_view(const Image& image, const Random& draws) const {
  View view = fixed_view(image, 0);
  view.mirror = mirror_ && draws.below(2, kMirrorDraw) == 1;
  if (!train_) return view;
  if (crop_h_ > 0) {
    view.h0 = draws.below(image.height - crop_h_ + 1, kRowDraw);
    view.w0 = draws.below(image.width - crop_w_ + 1, kColumnDraw);
  }
  if (shifts_) view.shift = drawn_shift(draws);
  return view;
}

/// Views 0 to 3 are the corners, 4 is the centre, and the others are mirror images. With fewer than
/// five views, 0 is the centre.
Transformer::View Transformer::fixed_view(const Image& image, Index number) const {
  const Index places = views_ < 5 ? 1 : 5, place = number % places;
  const Index OH = crop_h_ > 0 ? crop_h_ : image.height, OW = crop_w_ > 0 ? crop_w_ : image.width;
  const Index spare_h = image.height - OH, spare_w = image.width - OW;
  const bool central = place == places - 1, mirror = number >= places;
  if (central) return {spare_h / 2, spare_w / 2, OH, OW, mirror, {}};
  return {place / 2 * spare_h, place % 2 * spare_w, OH, OW, mirror, {}};
}

std::array<float, 3> Transformer::drawn_shift(const Random& draws) const {
  std::uint32_t words[4];
  draws.block(kShiftBlock, words);
  const std::array<float, 4> a = normals(words, 0, pca_std_);
  std::array<float, 3> shift{};
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t c = 0; c < 3; ++c) shift[c] += a[k] * (*shifts_)[k][c];
  return shift;
}

template <class Pixel>
void Transformer::transform(const Pixel* pixels, const Image& image, const View& view,
                            float* out) const {
  const Index OH = view.height, OW = view.width;
  const bool interleaved = image.pixel_step == 3 && image.channel_step == 1;
  std::vector<Pixel> planes(static_cast<std::size_t>(interleaved ? 3 * OW : 0));
  Row row{nullptr, 0, 0, scale_, view.mirror, OW, out};
  for (Index h = 0; h < OH; ++h) {
    const Pixel* from = pixels + (view.h0 + h) * image.row_step + view.w0 * image.pixel_step;
    if (interleaved) take_apart(from, OW, planes.data());
    for (Index c = 0; c < image.channels; ++c) {
      row.out = out + (c * OH + h) * OW;
      if (shifts_) row.shift = at(view.shift, c);
      if (mean_per_pixel_)
        row.means = mean_.values.data() + (c * image.height + view.h0 + h) * image.width + view.w0;
      else if (!mean_.values.empty())
        row.mean = at(mean_.values, c);
      if (interleaved)
        transform_row(planes.data() + c * OW, 1, row);
      else
        transform_row(from + c * image.channel_step, image.pixel_step, row);
    }
  }
}

void require_no_augmentation(const TransformationParameter& p) {
  const auto refuse = [](bool given, const char* field) {
    require_field(!given, str("transform_param.", field), field,
                  " is for images with boxes, in AnnotatedData; other layers cannot use it");
  };
  refuse(p.has_resize_param(), "resize_param");
  refuse(p.has_noise_param(), "noise_param");
  refuse(p.has_emit_constraint(), "emit_constraint");
  refuse(p.has_distort_param(), "distort_param");
  refuse(p.has_expand_param(), "expand_param");
}

}  // namespace doppio
