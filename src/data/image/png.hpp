#pragma once
#include <string>
#include <string_view>

namespace doppio {

/// A PNG file without chunks that its pixels do not need, such as colour profiles and texts, for
/// which libpng prints warnings.
struct PlainPng {
  std::string bytes;
  std::string_view exif;  // the contents of its eXIf chunk, a view into the original
};

/// Throws: Error if the file is truncated, or a checksum is wrong.
PlainPng plain_png(std::string_view bytes);

}  // namespace doppio
