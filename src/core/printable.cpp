#include "core/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// A character that looks like `plain`, which is empty if it is invisible.
struct Disguise {
  char32_t code;
  const char* name;
  const char* plain;
};

constexpr Disguise kDisguises[] = {
    {0x00A0, "NO-BREAK SPACE", " "},
    {0x00AD, "SOFT HYPHEN", "-"},
    {0x00B4, "ACUTE ACCENT", "'"},
    {0x037E, "GREEK QUESTION MARK", ";"},
    {0x2000, "EN QUAD", " "},
    {0x2001, "EM QUAD", " "},
    {0x2002, "EN SPACE", " "},
    {0x2003, "EM SPACE", " "},
    {0x2004, "THREE-PER-EM SPACE", " "},
    {0x2005, "FOUR-PER-EM SPACE", " "},
    {0x2006, "SIX-PER-EM SPACE", " "},
    {0x2007, "FIGURE SPACE", " "},
    {0x2008, "PUNCTUATION SPACE", " "},
    {0x2009, "THIN SPACE", " "},
    {0x200A, "HAIR SPACE", " "},
    {0x200B, "ZERO WIDTH SPACE", ""},
    {0x200C, "ZERO WIDTH NON-JOINER", ""},
    {0x200D, "ZERO WIDTH JOINER", ""},
    {0x200E, "LEFT-TO-RIGHT MARK", ""},
    {0x200F, "RIGHT-TO-LEFT MARK", ""},
    {0x2010, "HYPHEN", "-"},
    {0x2011, "NON-BREAKING HYPHEN", "-"},
    {0x2012, "FIGURE DASH", "-"},
    {0x2013, "EN DASH", "-"},
    {0x2014, "EM DASH", "-"},
    {0x2015, "HORIZONTAL BAR", "-"},
    {0x2018, "LEFT SINGLE QUOTATION MARK", "'"},
    {0x2019, "RIGHT SINGLE QUOTATION MARK", "'"},
    {0x201A, "SINGLE LOW-9 QUOTATION MARK", "'"},
    {0x201B, "SINGLE HIGH-REVERSED-9 QUOTATION MARK", "'"},
    {0x201C, "LEFT DOUBLE QUOTATION MARK", "\""},
    {0x201D, "RIGHT DOUBLE QUOTATION MARK", "\""},
    {0x201E, "DOUBLE LOW-9 QUOTATION MARK", "\""},
    {0x201F, "DOUBLE HIGH-REVERSED-9 QUOTATION MARK", "\""},
    {0x2024, "ONE DOT LEADER", "."},
    {0x2026, "HORIZONTAL ELLIPSIS", "..."},
    {0x2028, "LINE SEPARATOR", ""},
    {0x2029, "PARAGRAPH SEPARATOR", ""},
    {0x202A, "LEFT-TO-RIGHT EMBEDDING", ""},
    {0x202B, "RIGHT-TO-LEFT EMBEDDING", ""},
    {0x202C, "POP DIRECTIONAL FORMATTING", ""},
    {0x202D, "LEFT-TO-RIGHT OVERRIDE", ""},
    {0x202E, "RIGHT-TO-LEFT OVERRIDE", ""},
    {0x202F, "NARROW NO-BREAK SPACE", " "},
    {0x2032, "PRIME", "'"},
    {0x2033, "DOUBLE PRIME", "\""},
    {0x205F, "MEDIUM MATHEMATICAL SPACE", " "},
    {0x2060, "WORD JOINER", ""},
    {0x2066, "LEFT-TO-RIGHT ISOLATE", ""},
    {0x2067, "RIGHT-TO-LEFT ISOLATE", ""},
    {0x2068, "FIRST STRONG ISOLATE", ""},
    {0x2069, "POP DIRECTIONAL ISOLATE", ""},
    {0x2212, "MINUS SIGN", "-"},
    {0x3000, "IDEOGRAPHIC SPACE", " "},
    {0xFEFF, "BYTE ORDER MARK", ""},
};

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Length in bytes of the first UTF-8 character of `text`; 0 if it is invalid.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  const std::string_view rest = text.substr(1, length - 1);
  return std::all_of(rest.begin(), rest.end(), continues_character) ? length : 0;
}

/// Code point of the first character of `text`; 0 if it is not UTF-8.
char32_t code_point(std::string_view text) {
  constexpr std::array<unsigned char, 5> kPayload{0, 0x7F, 0x1F, 0x0F, 0x07};
  const std::size_t length = utf8_length(text);
  if (length == 0) return 0;
  char32_t code = static_cast<unsigned char>(text[0]) & kPayload[length];
  for (std::size_t i = 1; i < length; ++i)
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  return code;
}

}  // namespace

std::string lookalike(std::string_view text) {
  constexpr char32_t kWideExclamationMark = 0xFF01, kWideTilde = 0xFF5E;
  if (text.empty() || static_cast<unsigned char>(text[0]) < 0x80) return {};
  const char32_t code = code_point(text);
  char number[16];
  std::snprintf(number, sizeof number, "U+%04X ", static_cast<unsigned>(code));
  if (code >= kWideExclamationMark && code <= kWideTilde)
    return str(number, "FULLWIDTH FORM, which looks like '",
               static_cast<char>(code - kWideExclamationMark + '!'), "'");
  const auto found = std::find_if(std::begin(kDisguises), std::end(kDisguises),
                                  [&](const Disguise& d) { return d.code == code; });
  if (found == std::end(kDisguises)) return {};
  const std::string_view plain = found->plain;
  if (plain.empty()) return str(number, found->name, ", which is invisible");
  return str(number, found->name, ", which looks like ",
             plain == " " ? "a blank" : str("'", plain, "'"));
}

std::optional<Lookalike> find_lookalike(std::string_view line) {
  int column = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (continues_character(line[i])) continue;
    ++column;
    std::string what = lookalike(line.substr(i));
    if (!what.empty()) return Lookalike{column, std::move(what)};
  }
  return std::nullopt;
}

std::string lookalike_hint(std::string_view name) {
  const std::optional<Lookalike> found = find_lookalike(name);
  return found ? "; its name holds " + found->what : "";
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  while (!text.empty() && out.size() < max_bytes) {
    const auto c = static_cast<unsigned char>(text[0]);
    const std::size_t length = utf8_length(text);
    if (length > 0 && c >= 0x20 && c != 0x7F) {
      out += text.substr(0, length);
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else {
      out += {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text.empty() ? out : out + "...";
}

}  // namespace doppio
