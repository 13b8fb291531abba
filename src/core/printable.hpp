#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace doppio {

/// Describes the first character of `text` if it is a typographic look-alike of plain text, as in
/// "U+2212 MINUS SIGN, which looks like '-'" or "U+200B ZERO WIDTH SPACE, which is invisible".
/// Returns "" for any other character, or if `text` is empty.
std::string lookalike(std::string_view text);

/// A character that lookalike() describes, and its column.
struct Lookalike {
  int column = 1;  // in characters, from 1
  std::string what;
};

/// Returns the first such character of a line.
std::optional<Lookalike> find_lookalike(std::string_view line);

/// "; its name holds U+00A0 NO-BREAK SPACE, ..." for messages about a missing file; "" if the name
/// has no look-alikes.
std::string lookalike_hint(std::string_view name);

/// Makes text from a file or a command line safe to print: escapes control characters and invalid
/// UTF-8 (\n, \x1b), and truncates it to about `max_bytes`.
std::string printable(std::string_view text, std::size_t max_bytes = 200);

}  // namespace doppio
