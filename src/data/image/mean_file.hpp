#pragma once
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Values to subtract from an image: one for each pixel and channel, or one for each channel.
struct Mean {
  Shape shape;
  std::vector<float> values;  ///< row-major
};

/// Reads a file of numbers, a serialized BlobProto, as it is; `what` names its kind in messages, as
/// in "a mean file". Throws: Error if it cannot be read, or its sizes do not fit its values.
Mean read_values_file(const std::string& path, const std::string& what);

/// Reads a mean file: a serialized BlobProto with sizes of either generation.
/// Throws: Error if it cannot be read, or its sizes do not fit its values.
Mean read_mean_file(const std::string& path);

/// The mean as C x H x W or C x 1 x 1, for images of shape `image` (C x H x W). Leading axes of
/// size 1 do not count; H x W x C, H x W for one channel, and one value per channel are understood.
/// Throws: Error with both shapes if the mean fits in no way.
Mean fit_mean(const Mean& mean, const Shape& image, const std::string& path);

}  // namespace doppio
