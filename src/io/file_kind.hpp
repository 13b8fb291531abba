#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace doppio {

/// How much of a file kind_of_file() looks at.
inline constexpr std::size_t kHeadBytes = 1 << 16;

/// What a file is, judged by its first bytes, as in "a JPEG image" or "weights or
/// another binary net"; empty if they show nothing. For messages about files of the wrong kind.
std::string_view kind_of_file(std::string_view head);

/// "; it is a JPEG image", or "" if the bytes show nothing.
std::string kind_hint(std::string_view head);

/// True if the bytes hold no control characters but those of text.
bool is_text(std::string_view bytes);

}  // namespace doppio
