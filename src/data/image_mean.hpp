#pragma once
#include <string>
#include <vector>

#include "data/convert_imageset.hpp"

namespace doppio {

struct MeanOptions {
  std::string database;
  std::string output;  ///< mean file to write; empty: none
  int threads = 0;     ///< 0: all cores but one
  Progress progress;
};

struct ImageMean {
  Index images = 0;
  Shape shape;                   ///< C x H x W
  std::vector<double> channels;  ///< mean of each channel: what mean_value takes
};

/// Averages all images of a database, which must be of one size, pixel by pixel, and writes the
/// result as a BlobProto of 1 x C x H x W. Throws: Error naming the first record of another size.
/// Source: matches Caffe, but sums in double.
ImageMean compute_image_mean(const MeanOptions& options);

}  // namespace doppio
