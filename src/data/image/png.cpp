#include "data/image/png.hpp"

#include <zlib.h>

#include <cstdint>

#include "doppio/error.hpp"

namespace doppio {

namespace {

std::uint32_t big_endian(std::string_view four) {
  std::uint32_t value = 0;
  for (const char byte : four) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

}  // namespace

PlainPng plain_png(std::string_view bytes) {
  constexpr std::size_t kSignature = 8, kFrame = 12;  // of a chunk: length, type, checksum
  PlainPng out;
  out.bytes.reserve(bytes.size());
  out.bytes = bytes.substr(0, kSignature);
  for (std::string_view rest = bytes.substr(out.bytes.size()), type; type != "IEND";) {
    const std::size_t length = rest.size() < kFrame ? 0 : big_endian(rest.substr(0, 4));
    require(rest.size() >= kFrame && rest.size() - kFrame >= length, "the PNG data is truncated");
    type = rest.substr(4, 4);
    const std::string_view checked = rest.substr(4, 4 + length);
    const bool critical = (type[0] & 0x20) == 0;
    if (critical || type == "tRNS") {
      const auto sum = crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                             static_cast<uInt>(checked.size()));
      require(sum == big_endian(rest.substr(8 + length, 4)),
              "the PNG data is damaged: a checksum is wrong at byte ", bytes.size() - rest.size());
      out.bytes += rest.substr(0, kFrame + length);
    }
    if (type == "eXIf") out.exif = checked.substr(4);
    rest.remove_prefix(kFrame + length);
  }
  return out;
}

}  // namespace doppio
