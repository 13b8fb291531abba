#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace doppio {

/// Bytes at the start of a file that kind_of_file() examines.
inline constexpr std::size_t kHeadBytes = 1 << 16;

/// Describes a file by its first bytes, as in "a JPEG image" or "weights or another binary net";
/// empty if unknown. For messages about files of the wrong kind.
std::string_view kind_of_file(std::string_view head);

/// "; it is a JPEG image", or "" if unknown.
std::string kind_hint(std::string_view head);

/// True if the bytes have no control characters except those of text.
bool is_text(std::string_view bytes);

}  // namespace doppio
