#pragma once
#include <cmath>

#include "doppio/error.hpp"
#include "doppio/tensor.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Checks the shapes of features (N x C x H x W) and regions (R x 5). Throws: Error.
inline void require_region_shapes(const Shape& features, const Shape& regions) {
  require(features.axes() == 4 && features.count_from(1) > 0,
          "the features must be N x C x H x W, ", "they are ", features.text());
  require(regions.axes() > 0 && regions.count_from(1) == 5,
          "the regions must be R x 5 (image, x1, ", "y1, x2, y2), they are ", regions.text());
}

/// Throws: Error unless every region is in one of `images` images and its corners are below 10^6
/// pixels. Copies them to the host.
inline void require_regions(const Tensor& regions, Index images) {
  const float* v = regions.read_host();
  for (Index r = 0; r < regions.count() / 5; ++r, v += 5) {
    require(v[0] >= 0 && v[0] < static_cast<float>(images), "region ", r, " is in image ", v[0],
            ", but there are ", images, " images");
    for (int k = 1; k < 5; ++k)
      require(std::abs(v[k]) < 1e6f, "corner ", v[k], " of region ", r, " is out of range");
  }
}

/// The pixels begin .. end-1 of one axis.
struct Interval {
  Index begin, end;

  HOST_DEVICE Index length() const { return end > begin ? end - begin : 0; }
  HOST_DEVICE Interval within(Index size) const {
    return {begin < 0 ? 0 : begin > size ? size : begin, end < 0 ? 0 : end > size ? size : end};
  }
};

/// Bin `i` of bins of length `bin` that start at `start`: all pixels that it touches.
HOST_DEVICE inline Interval touched(float start, float bin, Index i) {
  return {static_cast<Index>(std::floor(start + static_cast<float>(i) * bin)),
          static_cast<Index>(std::ceil(start + static_cast<float>(i + 1) * bin))};
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
