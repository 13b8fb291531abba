#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image_file.hpp"
#include "data/image/image_object.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Datum;

/// A validated image of channels x height x width values, either bytes or floats, with the strides
/// that locate value (c, h, w). A view into its record and the DatumReader that made it.
struct Image {
  Index channels = 0, height = 0, width = 0;
  int label = 0;
  const std::uint8_t* bytes = nullptr;  // one of these two is set
  const float* floats = nullptr;
  Index channel_step = 0, row_step = 0, pixel_step = 1;
  const std::vector<ImageObject>* objects = nullptr;  // for records with boxes instead of a label

  Shape shape() const { return {channels, height, width}; }
};

/// Returns a view of decoded pixels, H x W x channels of bytes or floats.
Image view_of(const cv::Mat& pixels, int label);

/// Converts serialized Datum messages to images. Reuses its memory between records. Not
/// thread-safe: use one per thread.
class DatumReader {
 public:
  /// `color` and `min_side` (see decode_image()) apply only to records that contain image files.
  explicit DatumReader(Color color = Color::as_stored, Index min_side = 0);
  ~DatumReader();
  DatumReader(DatumReader&&) noexcept;

  /// Returns an image that is valid until the next call. Throws: Error if the record is not a
  /// Datum, its sizes do not match its data, or its image file cannot be decoded.
  Image read(std::string_view record);
  /// Same for a parsed message, which must outlive the image.
  Image read(const Datum& datum);

 private:
  Color color_;
  Index min_side_;
  std::unique_ptr<Datum> datum_;
  cv::Mat decoded_;
};

}  // namespace doppio
