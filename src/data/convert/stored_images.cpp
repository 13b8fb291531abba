#include "data/convert/stored_images.hpp"

#include <utility>

namespace doppio {

namespace {

/// Orders by the number of pixels, then by height, so that only equal sizes are equivalent.
bool is_less(const ImageSize& a, const ImageSize& b) {
  return std::pair(a.height * a.width, a.height) < std::pair(b.height * b.width, b.height);
}

}  // namespace

void StoredImages::add(int label, const ImageSize& size, std::size_t record_bytes) {
  ++labels[label];
  if (count == 0 || is_less(size, smallest)) smallest = size;
  if (count == 0 || is_less(largest, size)) largest = size;
  ++count;
  bytes += static_cast<Index>(record_bytes);
}

}  // namespace doppio
