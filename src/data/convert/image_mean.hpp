#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/convert/convert_imageset.hpp"
#include "data/image/color_components.hpp"

namespace doppio {

struct MeanOptions {
  std::string database;  ///< path, or a pattern with * and ? for several databases
  std::string output;    ///< mean file to write; empty: none
  int threads = 0;       ///< 0: all cores but one
  Progress progress;
  std::string pca = {};  ///< file of colour components to write; empty: none
};

struct ImageMean {
  Index images = 0;
  Shape shape;                                ///< C x H x W
  std::vector<double> channels;               ///< mean of each channel, for mean_value
  std::optional<ColorComponents> components;  ///< has a value if MeanOptions::pca is set
};

/// Averages all images of one or more databases pixel by pixel and writes the result as a BlobProto
/// of 1 x C x H x W. If requested, also computes the principal components of all pixels' colours.
/// Throws: Error naming the first record whose size differs from the first one's or, for
/// components, that does not have 3 channels. Source: the mean matches Caffe, but sums in double.
ImageMean compute_image_mean(const MeanOptions& options);

}  // namespace doppio
