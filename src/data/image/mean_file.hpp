#pragma once
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Values to subtract from an image: one per pixel and channel, or one per channel.
struct Mean {
  Shape shape;
  std::vector<float> values;  ///< row-major
};

/// Reads a serialized BlobProto without checking its axes. `what` names its kind in messages, such
/// as "a mean file". Throws: Error if it cannot be read, or its shape does not match its values.
Mean read_values_file(const std::string& path, const std::string& what);

/// Reads a mean file: a serialized BlobProto with `shape` or the old four sizes. Throws: Error if
/// it cannot be read, or its shape does not match its values.
Mean read_mean_file(const std::string& path);

/// Writes `values`, C x H x W, as a BlobProto of 1 x C x H x W with the old four sizes, which every
/// reader of mean files supports.
void write_mean_file(const std::string& path, const Shape& shape,
                     const std::vector<double>& values);

/// Returns the mean as C x H x W or C x 1 x 1, for images of shape `image` (C x H x W). Accepts
/// leading axes of size 1, H x W x C, H x W for one channel, and one value per channel. Throws:
/// Error with both shapes if the mean does not fit.
Mean fit_mean(const Mean& mean, const Shape& image, const std::string& path);

}  // namespace doppio
