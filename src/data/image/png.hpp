#pragma once
#include <string>
#include <string_view>

namespace doppio {

/// A PNG file without what its pixels don't need, such as colour profiles and texts, about which
/// libpng prints warnings.
struct PlainPng {
  std::string bytes;
  std::string_view exif;  // the contents of its eXIf chunk, a view into the original
};

/// Throws: Error if the file is cut short, or a checksum is wrong.
PlainPng plain_png(std::string_view bytes);

}  // namespace doppio
