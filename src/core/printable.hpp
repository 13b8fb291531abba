#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace doppio {

/// Describes the character that `text` begins with if word processors and web pages put it where
/// plain text was meant, as in "U+2212 MINUS SIGN, which looks like '-'" or "U+200B ZERO WIDTH
/// SPACE, which is invisible". Empty for every other character, and if `text` is empty.
std::string lookalike(std::string_view text);

/// A character that lookalike() describes, and where it stands.
struct Lookalike {
  int column = 1;  // in characters, from 1
  std::string what;
};

/// The first such character of a line.
std::optional<Lookalike> find_lookalike(std::string_view line);

/// "; its name holds U+00A0 NO-BREAK SPACE, ..." for messages about a file that is not there; ""
/// if all characters of the name are what they seem.
std::string lookalike_hint(std::string_view name);

/// Text from a file or a command line as it may be printed: control characters and bytes that are
/// not UTF-8 escaped (\n, \x1b), and no more than `max_bytes` of it.
std::string printable(std::string_view text, std::size_t max_bytes = 200);

}  // namespace doppio
