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

/// Crops, mirrors, subtracts the mean, shifts the colour and scales, all in one pass over the
/// pixels:
///   out(c, h, w) = (in(c, h0 + h, w0 + w) - mean + shift(c)) * scale,
/// with w running backwards if mirrored.
///
/// `mirror: true` flips with probability 1/2, in TEST too. The crop is drawn in TRAIN and central
/// in TEST. The mean is taken at the pixel's place in the uncropped image. Source: matches Caffe
/// but for its random numbers.
///
/// The shift is drawn in TRAIN if there is a pca_file, from three normal numbers a of deviation
/// pca_std, where l are the variances of the colours' components p, for pixels from 0 to 255:
///   shift = sum over k of a(k) * l(k) / 255 * p(k).
/// Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
/// (2012). The paper does not say what scale its pixels have; that they go from 0 to 1, hence the
/// 255, is the usual reading and ours.
///
/// With `views` an image gives several results in TEST: crops at the four corners and the centre
/// (only the centre for 2 views), then their mirror images (not for 5); `mirror` does not count.
class Transformer {
 public:
  /// Draws of an image that apply() may use: 0 .. kDraws - 1.
  static constexpr Index kDraws = 8;

  /// Which part of an image a result shows, and what was added to its channels.
  struct View {
    Index h0, w0, height, width;
    bool mirror;
    std::array<float, 3> shift;
  };

  /// Throws: Error on contradicting fields.
  Transformer(const TransformationParameter& param, bool train);

  /// What image files in records are to be decoded to.
  Color color() const { return color_; }

  /// Results per image.
  Index views() const { return views_; }

  /// Pixels of the crop; 0 if there is none.
  Index crop_height() const { return crop_h_; }
  Index crop_width() const { return crop_w_; }

  /// Reads the mean file and, in TRAIN, the colour components, unless they were read already.
  /// Throws: Error that blames their fields.
  void read_files();

  /// Takes C x H x W as the shape of the images and returns that of the results.
  /// Throws: Error if the crop or the mean does not fit.
  Shape prepare(const Shape& image);

  /// Writes the views() results for `image`, one after the other; `draws` belongs to this image
  /// alone. Without a mean image, the height and width may differ from the prepared ones if there
  /// is a crop. Returns the last view. Throws: Error with both sizes if they may not.
  View apply(const Image& image, const Random& draws, float* out) const;

  /// The part of apply() that is left to the host where an accelerator does the rest: copies the
  /// crops of an image of bytes, mirrored where they are, and says in `views` what else is to be
  /// done. Returns the last view. Throws: Error as apply(), or if the image is of floats.
  View cut(const Image& image, const Random& draws, std::uint8_t* out, PixelView* views) const;

  /// The rest, for so many results of the prepared size: `pixels` and `views` are what cut() wrote,
  /// `means` a copy of means(), all in the accelerator's memory.
  PixelBatch rest(Index images, const std::uint8_t* pixels, const PixelView* views,
                  const float* means, float* out) const;
  /// What is subtracted, of each channel or pixel; empty: nothing.
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
  std::optional<Mean> mean_image_;  // as read
  Shape prepared_;
  Mean mean_;  // as it fits the prepared shape; no values: nothing to subtract
  bool mean_per_pixel_ = false;
  std::optional<std::array<std::array<float, 3>, 3>> shifts_;  // per component, for a draw of 1
};

/// Throws: Error if there are fields that only AnnotatedData heeds.
void require_no_augmentation(const TransformationParameter& param);

}  // namespace doppio
