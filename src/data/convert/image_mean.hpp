#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/convert/convert_imageset.hpp"
#include "data/image/color_components.hpp"

namespace doppio {

struct MeanOptions {
  std::string database;
  std::string output;  ///< mean file to write; empty: none
  int threads = 0;     ///< 0: all cores but one
  Progress progress;
  std::string pca = {};  ///< file of colour components to write; empty: none
};

struct ImageMean {
  Index images = 0;
  Shape shape;                                ///< C x H x W
  std::vector<double> channels;               ///< mean of each channel: what mean_value takes
  std::optional<ColorComponents> components;  ///< if asked for
};

/// Averages all images of a database, which must be of one size, pixel by pixel, and writes the
/// result as a BlobProto of 1 x C x H x W. In the same pass, if asked, finds the principal
/// components of the colours of all pixels. Throws: Error naming the first record of another size,
/// or, for the components, one that has not 3 channels.
/// Source: the mean matches Caffe, but sums in double.
ImageMean compute_image_mean(const MeanOptions& options);

}  // namespace doppio
