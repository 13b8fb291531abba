#include "data/image/datum.hpp"

#include <limits>

#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/file_kind.hpp"

namespace doppio {

Image view_of(const cv::Mat& pixels, int label) {
  Image image;
  image.label = label;
  if (pixels.depth() == CV_8U)
    image.bytes = pixels.ptr();
  else
    image.floats = pixels.ptr<float>();
  image.channels = pixels.channels();
  image.height = pixels.rows;
  image.width = pixels.cols;
  image.channel_step = 1;
  image.row_step = static_cast<Index>(pixels.step1());
  image.pixel_step = image.channels;
  return image;
}

DatumReader::DatumReader(Color color, Index min_side)
    : color_(color), min_side_(min_side), datum_(std::make_unique<Datum>()) {}
DatumReader::~DatumReader() = default;
DatumReader::DatumReader(DatumReader&&) noexcept = default;

Image DatumReader::read(std::string_view record) {
  require(record.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
              datum_->ParseFromArray(record.data(), static_cast<int>(record.size())),
          "the record is damaged: it is not a Datum");
  return read(*datum_);
}

Image DatumReader::read(const Datum& datum) {
  if (datum.encoded()) {
    decoded_ = decode_image(datum.data(), color_, min_side_);
    return view_of(decoded_, datum.label());
  }
  const Shape shape{datum.channels(), datum.height(), datum.width()};
  const bool has_bytes = !datum.data().empty();
  const auto stored =
      has_bytes ? static_cast<Index>(datum.data().size()) : Index{datum.float_data_size()};
  require(stored > 0, "the record holds no data");
  if (shape.count() != stored) {
    const std::string_view kind = kind_of_file(datum.data());
    require(!kind.ends_with("image"), "the record holds ", kind,
            ", but its field `encoded` is not set");
    throw Error(str("the record is damaged: it claims ", shape.text(), " = ", shape.count(),
                    " values and holds ", stored));
  }
  Image image;
  image.label = datum.label();
  if (has_bytes)
    image.bytes = reinterpret_cast<const std::uint8_t*>(datum.data().data());
  else
    image.floats = datum.float_data().data();
  image.channels = shape[0];
  image.height = shape[1];
  image.width = shape[2];
  image.channel_step = image.height * image.width;
  image.row_step = image.width;
  return image;
}

}  // namespace doppio
