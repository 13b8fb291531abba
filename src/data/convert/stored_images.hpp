#pragma once
#include <cstddef>
#include <map>

#include "doppio/shape.hpp"

namespace doppio {

/// Size of an image in pixels.
struct ImageSize {
  Index height = 0, width = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// Counts the images that a conversion has stored in a database.
struct StoredImages {
  std::map<int, Index> labels;  ///< number of images by label
  ImageSize smallest, largest;  ///< by number of pixels; equal if all images have the same size
  Index count = 0;
  Index bytes = 0;  ///< of the records, without keys

  void add(int label, const ImageSize& size, std::size_t record_bytes);
};

}  // namespace doppio
