#include "data/image_file.hpp"

#include <algorithm>
#include <opencv2/imgcodecs.hpp>

#include "data/jpeg.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

Index big_endian(std::string_view bytes, std::size_t at, int count) {
  Index value = 0;
  for (int i = 0; i < count; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

std::optional<ImageHeader> png_header(std::string_view bytes) {
  constexpr std::size_t kHeaderBytes = 26;
  constexpr int kChannels[] = {1, 0, 3, 0, 2, 0, 4};  // by PNG's colour type; 3 is a palette
  if (bytes.size() < kHeaderBytes || bytes.substr(12, 4) != "IHDR") return std::nullopt;
  const Index type = big_endian(bytes, 25, 1);
  return ImageHeader{big_endian(bytes, 20, 4), big_endian(bytes, 16, 4),
                     type < 7 ? kChannels[type] : 0};
}

/// Calls `found(marker, offset of its payload)` for the segments before the pixels, until it
/// returns true. Returns the offset of the pixels, or npos.
template <class Found>
std::size_t walk_jpeg(std::string_view bytes, Found found) {
  constexpr Index kStartOfScan = 0xDA;
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at] == '\xff') {
    const Index marker = big_endian(bytes, at + 1, 1);
    if (marker == 0xFF) {  // padding
      ++at;
      continue;
    }
    if (marker == kStartOfScan) return at;
    if (found(marker, at + 4)) return std::string_view::npos;
    at += 2 + static_cast<std::size_t>(big_endian(bytes, at + 2, 2));
  }
  return std::string_view::npos;
}

std::optional<ImageHeader> jpeg_header(std::string_view bytes) {
  std::optional<ImageHeader> header;
  walk_jpeg(bytes, [&](Index marker, std::size_t at) {
    const bool frame =
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame && at + 6 <= bytes.size())
      header = {big_endian(bytes, at + 1, 2), big_endian(bytes, at + 3, 2),
                big_endian(bytes, at + 5, 1)};
    return frame;
  });
  return header;
}

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

/// The decoder fills what is missing with gray and reports nothing.
void require_whole_jpeg(std::string_view bytes) {
  const std::size_t pixels = walk_jpeg(bytes, [](Index, std::size_t) { return false; });
  const std::size_t end = bytes.rfind("\xff\xd9");
  require(pixels != std::string_view::npos && end != std::string_view::npos && end > pixels,
          "the JPEG data is truncated");
}

int read_mode(Color color) {
  switch (color) {
    case Color::color:
      return cv::IMREAD_COLOR;
    case Color::gray:
      return cv::IMREAD_GRAYSCALE;
    case Color::as_stored:
      break;
  }
  return cv::IMREAD_UNCHANGED;
}

/// Of 1, 2, 4 and 8 the largest number by which both sides can be divided and keep `min_side`
/// pixels.
int shrink_for(const ImageHeader& header, Index min_side) {
  int shrink = 1;
  if (min_side > 0)
    while (shrink < 8 && std::min(header.height, header.width) / (2 * shrink) >= min_side)
      shrink *= 2;
  return shrink;
}

/// The orientation that a TIFF structure states; 1: as it is.
Index tiff_orientation(std::string_view tiff) {
  constexpr Index kOrientation = 0x0112;
  constexpr std::size_t kEntryBytes = 12;
  const auto number = [&](std::size_t at, std::size_t count) {
    std::string bytes(tiff.substr(std::min(at, tiff.size()), count));
    if (tiff.starts_with("II")) std::reverse(bytes.begin(), bytes.end());
    return bytes.size() == count ? big_endian(bytes, 0, static_cast<int>(count)) : 0;
  };
  const auto directory = static_cast<std::size_t>(number(4, 4));
  const auto entries = static_cast<std::size_t>(number(directory, 2));
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (number(entry, 2) == kOrientation) return number(entry + 8, 2);
  }
  return 1;
}

/// True if the file says that its picture is to be turned or mirrored, as cameras do.
bool is_turned(std::string_view jpeg) {
  bool turned = false;
  walk_jpeg(jpeg, [&](Index marker, std::size_t at) {
    constexpr Index kApplication1 = 0xE1;
    constexpr std::size_t kNameBytes = 6;
    if (marker == kApplication1 && jpeg.substr(at, 4) == "Exif" && at + kNameBytes < jpeg.size())
      turned = tiff_orientation(jpeg.substr(at + kNameBytes)) > 1;
    return turned;
  });
  return turned;
}

/// The image, if it is a JPEG that needs no more of OpenCV than its pixels.
std::optional<cv::Mat> decode_plain_jpeg(std::string_view bytes, Color color,
                                         const ImageHeader& header, Index min_side) {
  const bool as_stored = color == Color::as_stored;
  if (header.channels != 1 && header.channels != 3) return std::nullopt;
  if (!as_stored && is_turned(bytes)) return std::nullopt;
  const Index channels = as_stored ? header.channels : color == Color::gray ? 1 : 3;
  return decode_jpeg(bytes, static_cast<int>(channels), shrink_for(header, min_side));
}

}  // namespace

std::optional<ImageHeader> image_header(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return png_header(bytes);
  if (is_jpeg(bytes)) return jpeg_header(bytes);
  return std::nullopt;
}

cv::Mat decode_image(std::string_view bytes, Color color, Index min_side) {
  const std::optional<ImageHeader> header = image_header(bytes);
  if (header)
    require(header->width <= kMaxPixels && header->height * header->width <= kMaxPixels,
            "an image of ", header->height, " x ", header->width,
            " pixels; the largest that is decoded has ", kMaxPixels);
  if (is_jpeg(bytes)) {
    require_whole_jpeg(bytes);
    if (header)
      if (std::optional<cv::Mat> image = decode_plain_jpeg(bytes, color, *header, min_side))
        return *image;
  }
  require(!bytes.empty() && bytes.size() <= INT32_MAX, "an image file of ", bytes.size(),
          " bytes cannot be decoded");
  cv::Mat image;
  try {
    const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    image = cv::imdecode(file, read_mode(color));
  } catch (const cv::Exception& e) {
    throw Error(str("cannot decode the image: ", e.err));
  }
  require(!image.empty(), "cannot decode the image: it is damaged, or no image file");
  require(image.depth() == CV_8U,
          "the image has more than 8 bits per channel; force_color or "
          "force_gray reduces them");
  return image;
}

}  // namespace doppio
