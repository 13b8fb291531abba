#pragma once
#include <array>
#include <optional>
#include <string>

#include "data/image/color_components.hpp"
#include "data/image/datum.hpp"
#include "data/image/mean_file.hpp"
#include "data/image/pixel_batch.hpp"
#include "math/philox.hpp"

namespace doppio {

class TransformationParameter;

/// Crops, mirrors, subtracts the mean, shifts colours and scales, in one pass over the pixels:
///   out(c, h, w) = (in(c, h0 + h, w0 + w) - mean + shift(c)) * scale,
/// where mirroring reverses w.
///
/// `mirror: true` flips with probability 1/2, in TEST too. The crop is random in TRAIN and central
/// in TEST. The mean is indexed by the position in the uncropped image. Source: matches Caffe
/// except for its random numbers.
///
/// With a pca_file the shift is random in TRAIN, from three normal numbers a of standard deviation
/// pca_std and the variances l of the colour components p, for pixels from 0 to 255:
///   shift = sum over k of a(k) * l(k) / 255 * p(k).
/// Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
/// (2012). The paper does not give the range of its pixels. The factor 1/255 assumes 0 to 1, as is
/// usual.
///
/// With `views` an image has several results in TEST: crops at the four corners and the centre
/// (only the centre for 2 views), then their mirror images (not for 5). `mirror` is ignored.
class Transformer {
 public:
  /// apply() uses the random numbers 0 .. kDraws - 1 of an image.
  static constexpr Index kDraws = 8;

  /// The crop of one result, and the shift of its channels.
  struct View {
    Index h0, w0, height, width;
    bool mirror;
    std::array<float, 3> shift;
  };

  /// Throws: Error on contradictory fields.
  Transformer(const TransformationParameter& param, bool train);

  /// Channels to which image files in records are decoded.
  Color color() const { return color_; }

  /// Number of results per image.
  Index views() const { return views_; }

  /// Crop size in pixels, or 0 without a crop.
  Index crop_height() const { return crop_h_; }
  Index crop_width() const { return crop_w_; }

  /// Reads the mean file and, in TRAIN, the colour components, unless they are loaded already.
  /// Throws: Error that names their fields.
  void read_files();

  /// Sets the shape C x H x W of the images and returns that of the results. Throws: Error if the
  /// crop or the mean does not fit.
  Shape prepare(const Shape& image);

  /// Writes the views() results for `image` to `out`. `draws` are the random numbers of this image
  /// only. If there is a crop and no mean image, height and width may differ from the prepared
  /// ones. Throws: Error with both sizes if they may not differ. Returns the last view.
  View apply(const Image& image, const Random& draws, float* out) const;

  /// The host part of apply() when an accelerator does the rest: copies the crops of an image of
  /// bytes, mirrored if required, and stores the remaining parameters in `views`. Returns the last
  /// view. Throws: Error as apply(), or if the image is of floats.
  View cut(const Image& image, const Random& draws, std::uint8_t* out, PixelView* views) const;

  /// Returns the device part of apply() for `images` results of the prepared size. `pixels` and
  /// `views` are the output of cut(), `means` a copy of means(), all in device memory.
  PixelBatch rest(Index images, const std::uint8_t* pixels, const PixelView* views,
                  const float* means, float* out) const;
  /// Returns short hashes of the mean file and of the colour components, as in "mean_file
  /// 5feceb66ffc86f38", or "" without such files. Call read_files() first.
  std::string fingerprint() const;
  /// Values to subtract, one per channel or per pixel. Empty if there is no mean.
  const std::vector<float>& means() const { return mean_.values; }

 private:
  View view_number(Index number, const Image& image, const Random& draws) const;
  View drawn_view(const Image& image, const Random& draws) const;
  View fixed_view(const Image& image, Index number) const;
  std::array<float, 3> drawn_shift(const Random& draws) const;
  template <class Pixel>
  void transform(const Pixel* pixels, const Image& image, const View& view, float* out) const;
  void check(const Shape& image) const;
  std::string crop_text() const;

  bool train_;
  bool mirror_;
  Index crop_h_, crop_w_;  // 0: none
  Index views_;
  float scale_;
  Color color_ = Color::as_stored;
  std::string mean_file_;
  std::vector<float> mean_value_;
  std::string pca_file_;
  float pca_std_;
  std::optional<Mean> mean_image_;  // as stored in the file
  Shape prepared_;
  Mean mean_;  // for the prepared shape; empty: nothing to subtract
  bool mean_per_pixel_ = false;
  std::optional<std::array<std::array<float, 3>, 3>> shifts_;  // per component, for a = 1
};

/// Throws: Error if fields are set that only AnnotatedData supports.
void require_no_augmentation(const TransformationParameter& param);

}  // namespace doppio
