#include "data/image/image_file.hpp"

#include <algorithm>
#include <iostream>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <streambuf>

#include "data/image/jpeg.hpp"
#include "data/image/png.hpp"
#include "doppio/error.hpp"
#include "io/file_kind.hpp"

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

bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }
bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

/// Throws: Error for truncated files, for which decoders fill missing pixels with gray silently.
void require_whole_jpeg(std::string_view bytes) {
  const std::size_t pixels = walk_jpeg(bytes, [](Index, std::size_t) { return false; });
  const std::size_t end = bytes.rfind("\xff\xd9");
  require(pixels != std::string_view::npos && end != std::string_view::npos && end > pixels,
          "the JPEG data is truncated");
}

/// Checks the size before memory is allocated.
void check_size(const ImageHeader& header, std::size_t bytes) {
  // Upper bound: PNGs of one bit per pixel at zlib's maximum compression.
  constexpr auto kMaxPixelsPerByte = 8 * 1032;
  require(header.width <= kMaxPixels && header.height * header.width <= kMaxPixels, "an image of ",
          header.height, " x ", header.width, " pixels; the largest that is decoded has ",
          kMaxPixels);
  require(header.height * header.width / kMaxPixelsPerByte <= static_cast<Index>(bytes),
          "the image is damaged: it claims ", header.height, " x ", header.width, " pixels in ",
          bytes, " bytes");
}

int read_mode(Color color) {
  switch (color) {
    case Color::color:
      return cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION;
    case Color::gray:
      return cv::IMREAD_GRAYSCALE | cv::IMREAD_IGNORE_ORIENTATION;
    case Color::as_stored:
      break;
  }
  return cv::IMREAD_UNCHANGED;
}

/// Returns the largest of 1, 2, 4 and 8 by which both sides can be divided and keep `min_side`
/// pixels.
int shrink_for(const ImageHeader& header, Index min_side) {
  int shrink = 1;
  if (min_side > 0)
    while (shrink < 8 && std::min(header.height, header.width) / (2 * shrink) >= min_side)
      shrink *= 2;
  return shrink;
}

/// Returns the Exif orientation in a TIFF structure, or 1 (upright).
Index tiff_orientation(std::string_view tiff) {
  constexpr Index kOrientation = 0x0112;
  constexpr std::size_t kEntryBytes = 12;
  const auto number = [&](std::size_t at, std::size_t count) {
    std::string bytes(tiff.substr(std::min(at, tiff.size()), count));
    if (tiff.starts_with("II")) std::reverse(bytes.begin(), bytes.end());
    return bytes.size() == count ? big_endian(bytes, 0, static_cast<int>(count)) : 0;
  };
  if (!tiff.starts_with("II") && !tiff.starts_with("MM")) return 1;
  const auto directory = static_cast<std::size_t>(number(4, 4));
  const auto entries = static_cast<std::size_t>(number(directory, 2));
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (number(entry, 2) == kOrientation) return number(entry + 8, 2);
  }
  return 1;
}

/// Returns the Exif orientation of a JPEG file.
Index jpeg_orientation(std::string_view jpeg) {
  Index orientation = 1;
  walk_jpeg(jpeg, [&](Index marker, std::size_t at) {
    constexpr Index kApplication1 = 0xE1;
    constexpr std::size_t kNameBytes = 6;
    if (marker == kApplication1 && jpeg.substr(at, 4) == "Exif" && at + kNameBytes < jpeg.size())
      orientation = tiff_orientation(jpeg.substr(at + kNameBytes));
    return orientation > 1;
  });
  return orientation;
}

/// Returns the image rotated and flipped to be upright, given its Exif orientation.
cv::Mat upright(const cv::Mat& pixels, Index orientation) {
  constexpr int kUpsideDown = 0, kLeftRight = 1, kBoth = -1;
  constexpr int kFlips[] = {0, 0,          kLeftRight, kBoth,      kUpsideDown,
                            0, kLeftRight, kBoth,      kUpsideDown};
  if (orientation < 2 || orientation > 8) return pixels;
  cv::Mat turned = pixels;
  if (orientation > 4) cv::transpose(pixels, turned);
  if (orientation == 5) return turned;
  cv::Mat flipped;
  cv::flip(turned, flipped, kFlips[orientation]);
  return flipped;
}

cv::Mat decode_whole_jpeg(std::string_view bytes, Color color,
                          const std::optional<ImageHeader>& header, Index min_side) {
  require_whole_jpeg(bytes);
  require(header.has_value(), "cannot decode the image: the JPEG data has no frame header");
  const bool gray = color == Color::gray || (color == Color::as_stored && header->channels == 1);
  return upright(decode_jpeg(bytes, gray ? 1 : 3, shrink_for(*header, min_side)),
                 jpeg_orientation(bytes));
}

/// Suppresses std::cerr output of threads that hold a Mute, since imdecode() reports errors there.
class QuietErrors final : public std::streambuf {
 public:
  class Mute {
   public:
    Mute() { muted = true; }
    ~Mute() { muted = false; }
  };

  static void install() { static const QuietErrors once; }

 private:
  QuietErrors() : out_(std::cerr.rdbuf(this)) {}
  ~QuietErrors() override { std::cerr.rdbuf(out_); }

  int overflow(int c) override { return muted ? c : out_->sputc(static_cast<char>(c)); }
  std::streamsize xsputn(const char* s, std::streamsize n) override {
    return muted ? n : out_->sputn(s, n);
  }
  int sync() override { return muted ? 0 : out_->pubsync(); }

  static thread_local bool muted;
  std::streambuf* const out_;
};
thread_local bool QuietErrors::muted = false;

/// Decodes by OpenCV without applying the orientation, which only some of its versions do. Returns
/// an empty image on failure.
cv::Mat decode_by_opencv(std::string_view bytes, Color color) {
  QuietErrors::install();
  const QuietErrors::Mute mute;
  static const auto silent = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  static_cast<void>(silent);
  try {
    const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    return cv::imdecode(file, read_mode(color));
  } catch (const cv::Exception&) {
    return {};
  }
}

}  // namespace

std::optional<ImageHeader> image_header(std::string_view bytes) {
  if (is_png(bytes)) return png_header(bytes);
  if (is_jpeg(bytes)) return jpeg_header(bytes);
  return std::nullopt;
}

cv::Mat decode_image(std::string_view bytes, Color color, Index min_side) {
  const std::optional<ImageHeader> header = image_header(bytes);
  if (header) check_size(*header, bytes.size());
  if (is_jpeg(bytes)) return decode_whole_jpeg(bytes, color, header, min_side);
  require(!bytes.empty() && bytes.size() <= INT32_MAX, "an image file of ", bytes.size(),
          " bytes cannot be decoded");
  PlainPng png;
  if (is_png(bytes)) png = plain_png(bytes);
  const cv::Mat image = decode_by_opencv(is_png(bytes) ? png.bytes : bytes, color);
  require(!image.empty(), "cannot decode the image: it is damaged, or no image file",
          is_png(bytes) ? "" : kind_hint(bytes));
  require(image.depth() == CV_8U,
          "the image has more than 8 bits per channel; force_color or "
          "force_gray reduces them");
  return upright(image, tiff_orientation(png.exif));
}

}  // namespace doppio
