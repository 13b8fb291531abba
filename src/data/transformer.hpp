#pragma once
#include <optional>
#include <string>

#include "core/philox.hpp"
#include "data/datum.hpp"
#include "data/mean_file.hpp"

namespace doppio {

class TransformationParameter;

/// Crops, mirrors, subtracts the mean and scales, all in one pass over the pixels:
///   out(c, h, w) = (in(c, h0 + h, w0 + w) - mean) * scale,  with w running backwards if mirrored.
///
/// `mirror: true` flips with probability 1/2, in TEST too. The crop is drawn in TRAIN and central
/// in TEST. The mean is taken at the pixel's place in the uncropped image. Source: matches Caffe
/// but for its random numbers.
class Transformer {
 public:
  /// Throws: Error on contradicting fields.
  Transformer(const TransformationParameter& param, bool train);

  /// What image files in records are to be decoded to.
  Color color() const { return color_; }

  /// Takes C x H x W as the shape of the images and returns that of the results.
  /// Throws: Error if the crop or the mean does not fit.
  Shape prepare(const Shape& image);

  /// Writes the result for `image`; `draws` belongs to this image alone. Without a mean image, the
  /// height and width may differ from the prepared ones if there is a crop.
  /// Throws: Error with both sizes if they may not.
  void apply(const Image& image, const Random& draws, float* out) const;

 private:
  template <class Pixel>
  void transform(const Pixel* pixels, const Image& image, const Random& draws, float* out) const;
  void check(const Shape& image) const;

  bool train_;
  bool mirror_;
  Index crop_;
  float scale_;
  Color color_ = Color::as_stored;
  std::string mean_file_;
  std::vector<float> mean_value_;
  std::optional<Mean> mean_image_;  // as read
  Shape prepared_;
  Mean mean_;  // as it fits the prepared shape; no values: nothing to subtract
  bool mean_per_pixel_ = false;
};

}  // namespace doppio
