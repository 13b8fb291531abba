#include "data/image/color_components.hpp"

#include <cmath>
#include <opencv2/core.hpp>

#include "data/image/mean_file.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"

namespace doppio {

namespace {

constexpr int kChannels = 3, kColumns = 4;

}  // namespace

template <class Pixel>
void ColorSums::add_pixels(const Pixel* pixels, const Image& image) {
  auto s = sums_;
  auto p = products_;
  for (Index h = 0; h < image.height; ++h) {
    const Pixel* at = pixels + h * image.row_step;
    for (Index w = 0; w < image.width; ++w, at += image.pixel_step) {
      const double a = at[0], b = at[image.channel_step], c = at[2 * image.channel_step];
      s = {s[0] + a, s[1] + b, s[2] + c};
      p = {p[0] + a * a, p[1] + a * b, p[2] + a * c, p[3] + b * b, p[4] + b * c, p[5] + c * c};
    }
  }
  sums_ = s;
  products_ = p;
  count_ += static_cast<double>(image.height * image.width);
}

void ColorSums::add(const Image& image) {
  require(image.channels == kChannels, "the image is ", image.shape().text(),
          "; principal components of colors need 3 channels: make the database in color, or "
          "leave out --pca");
  if (image.bytes)
    add_pixels(image.bytes, image);
  else
    add_pixels(image.floats, image);
}

void ColorSums::add(const ColorSums& other) {
  count_ += other.count_;
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  for (std::size_t i = 0; i < products_.size(); ++i) products_[i] += other.products_[i];
}

ColorComponents ColorSums::components() const {
  constexpr std::size_t kProductOf[3][3] = {{0, 1, 2}, {1, 3, 4}, {2, 4, 5}};
  cv::Matx33d covariance, vectors;
  cv::Vec3d values;
  for (std::size_t i = 0; i < kChannels; ++i)
    for (std::size_t j = 0; j < kChannels; ++j)
      covariance(static_cast<int>(i), static_cast<int>(j)) =
          products_[kProductOf[i][j]] / count_ - sums_[i] / count_ * (sums_[j] / count_);
  cv::eigen(covariance, values, vectors);  // in descending order, vectors in rows
  ColorComponents result;
  for (int k = 0; k < kChannels; ++k) {
    const auto component = static_cast<std::size_t>(k);
    result.variances[component] = std::max(0.0, values(k));  // rounding may give a negative value
    for (int c = 0; c < kChannels; ++c)
      result.directions[component][static_cast<std::size_t>(c)] = vectors(k, c);
  }
  return result;
}

void write_color_components(const std::string& path, const ColorComponents& components) {
  BlobProto blob;
  blob.mutable_shape()->add_dim(kChannels);
  blob.mutable_shape()->add_dim(kColumns);
  for (std::size_t k = 0; k < kChannels; ++k) {
    blob.add_data(static_cast<float>(components.variances[k]));
    for (const double v : components.directions[k]) blob.add_data(static_cast<float>(v));
  }
  write_file_atomically(path, [&](std::ostream& out) { out << blob.SerializeAsString(); });
}

ColorComponents read_color_components(const std::string& path) {
  const Mean blob = read_values_file(path, "a file of color components");
  require(blob.shape == Shape({kChannels, kColumns}), path,
          " is not a file of color components: ", blob.shape.text(),
          " values instead of 3 x 4; `doppio mean DB --pca=FILE` makes one");
  ColorComponents components;
  for (std::size_t k = 0; k < kChannels; ++k) {
    const float* row = blob.values.data() + k * kColumns;
    require(std::isfinite(row[0]) && row[0] >= 0, path, ": the variance of component ", k, " is ",
            row[0]);
    const double norm = std::hypot(row[1], row[2], row[3]);
    require(std::abs(norm - 1) < 1e-3, path, ": the direction of component ", k, " is ", row[1],
            ", ", row[2], ", ", row[3], ", of length ", norm,
            " instead of 1; make the file again with `doppio mean DB --pca=FILE`");
    components.variances[k] = row[0];
    std::copy_n(row + 1, kChannels, components.directions[k].begin());
  }
  return components;
}

}  // namespace doppio
