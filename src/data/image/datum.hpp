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

/// A record's content, checked: channels x height x width values, either bytes or floats, and where
/// the value of (c, h, w) stands. Views into the DatumReader that made it and its record.
struct Image {
  Index channels = 0, height = 0, width = 0;
  int label = 0;
  const std::uint8_t* bytes = nullptr;  // one of these two is set
  const float* floats = nullptr;
  Index channel_step = 0, row_step = 0, pixel_step = 1;
  const std::vector<ImageObject>* objects = nullptr;  // of records with boxes instead of a label

  Shape shape() const { return {channels, height, width}; }
};

/// The image of decoded pixels, H x W x channels of bytes or floats; a view into them.
Image view_of(const cv::Mat& pixels, int label);

/// Turns serialized Datum messages into images. Keeps its memory from record to record; one per
/// thread.
class DatumReader {
 public:
  /// `color` and `min_side` (see decode_image()) count only for records that hold image files.
  explicit DatumReader(Color color = Color::as_stored, Index min_side = 0);
  ~DatumReader();
  DatumReader(DatumReader&&) noexcept;

  /// The image is valid until the next call. Throws: Error if the record is no Datum, its sizes do
  /// not fit its data, or its image file cannot be decoded.
  Image read(std::string_view record);
  /// The same of a message, which must outlive the image.
  Image read(const Datum& datum);

 private:
  Color color_;
  Index min_side_;
  std::unique_ptr<Datum> datum_;
  cv::Mat decoded_;
};

}  // namespace doppio
