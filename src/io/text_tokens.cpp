#include "io/text_tokens.hpp"

#include <algorithm>
#include <charconv>

#include "core/printable.hpp"

namespace doppio {

namespace {

constexpr std::string_view kDigits = "0123456789", kOctal = "01234567";
constexpr std::string_view kHex = "0123456789abcdefABCDEF";
constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
constexpr std::string_view kSigns = "{}<>[]:,;-+=()/*.&|!?@%^~`$\\";

bool is_one_of(char c, std::string_view set) { return set.find(c) != set.npos; }

/// Whether `c` is a continuation byte of UTF-8.
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Returns how many characters of `set` are at the start of `text`.
std::size_t run(std::string_view text, std::string_view set) {
  return std::min(text.find_first_not_of(set), text.size());
}

unsigned number(std::string_view digits, int base) {
  unsigned value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return value;
}

void put_utf8(unsigned code, std::string& out) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // continuation bytes
  put(((0xF0u << (3 - more)) & 0xFFu) | (code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) put(0x80u | ((code >> (6 * i)) & 0x3Fu));
}

/// Digits with an optional point and exponent, as in 5. .5 1e-3 and 0.1f.
bool is_real(std::string_view text) {
  const auto skip = [&](std::size_t n) { text.remove_prefix(n); };
  const std::size_t whole = run(text, kDigits);
  if (whole > 1 && text[0] == '0') return false;
  skip(whole);
  std::size_t fraction = 0;
  if (text.starts_with('.')) {
    skip(1);
    skip(fraction = run(text, kDigits));
  }
  if (whole + fraction == 0) return false;
  if (!text.empty() && is_one_of(text[0], "eE")) {
    skip(1);
    if (!text.empty() && is_one_of(text[0], "+-")) skip(1);
    const std::size_t exponent = run(text, kDigits);
    if (exponent == 0) return false;
    skip(exponent);
  }
  return text.empty() || text == "f" || text == "F";
}

bool is_integer(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X"))
    return text.size() > 2 && run(text.substr(2), kHex) == text.size() - 2;
  return run(text, text[0] == '0' ? kOctal : kDigits) == text.size();
}

/// Returns the error message for the first character of `text`.
std::string misplaced(std::string_view text) {
  const std::string what = lookalike(text);
  std::size_t bytes = 1;
  while (bytes < text.size() && continues_character(text[bytes])) ++bytes;
  if (what.empty())
    return str("'", printable(text.substr(0, bytes)), "' has no meaning outside of quotes");
  return what + (what.ends_with("invisible") ? "; delete it" : "; type that instead");
}

}  // namespace

void TextTokens::advance(std::size_t bytes) {
  for (const char c : text_.substr(0, bytes)) {
    column_ = c == '\n' ? 1 : column_ + (continues_character(c) ? 0 : 1);
    line_ += c == '\n';
  }
  text_.remove_prefix(std::min(bytes, text_.size()));
}

void TextTokens::skip_blanks() {
  for (;;) {
    advance(run(text_, " \t\r\n\v\f"));
    if (!text_.starts_with('#')) return;
    advance(text_.find('\n'));
  }
}

void TextTokens::next() {
  skip_blanks();
  now_ = TextToken();
  now_.line = line_;
  now_.column = column_;
  if (text_.empty()) return;
  const char c = text_[0];
  if (c == '"' || c == '\'') return read_string();
  if (is_one_of(c, kDigits) || (c == '.' && text_.size() > 1 && is_one_of(text_[1], kDigits)))
    return read_number();
  std::size_t bytes = run(text_, kLetters);
  now_.kind = bytes > 0 ? TextToken::word : TextToken::sign;
  if (bytes == 0) {
    if (text_.starts_with("//") || text_.starts_with("/*"))
      fail("a comment begins with #, not with ", text_.substr(0, 2));
    if (!is_one_of(c, kSigns)) fail(misplaced(text_));
    bytes = 1;
  }
  now_.text = text_.substr(0, bytes);
  advance(bytes);
}

void TextTokens::read_string() {
  const char quote = text_[0];
  const std::string_view line = text_.substr(0, text_.find('\n'));
  std::size_t at = 1;
  while (at < line.size() && line[at] != quote) {
    if (line[at] == '\\')
      at += read_escape(line.substr(at), now_.value);
    else
      now_.value.push_back(line[at++]);
  }
  if (at >= line.size()) {
    const auto other = find_lookalike(line);
    fail("the text that begins here has no closing ", quote, " on its line",
         other ? "; there is " + other->what : "");
  }
  now_.kind = TextToken::string;
  now_.text = text_.substr(0, at + 1);
  advance(at + 1);
}

/// Appends the value of `escape`, which begins with a backslash. Returns the length of `escape`.
std::size_t TextTokens::read_escape(std::string_view escape, std::string& value) const {
  constexpr std::string_view kNames = "abfnrtv\\?'\"", kMeanings = "\a\b\f\n\r\t\v\\?'\"";
  const char c = escape.size() > 1 ? escape[1] : ' ';
  const std::string_view rest = escape.substr(std::min<std::size_t>(2, escape.size()));
  if (const std::size_t name = kNames.find(c); name != kNames.npos) {
    value.push_back(kMeanings[name]);
    return 2;
  }
  if (is_one_of(c, kOctal)) {
    const std::size_t digits = run(escape.substr(1, 3), kOctal);
    value.push_back(static_cast<char>(number(escape.substr(1, digits), 8)));
    return 1 + digits;
  }
  if (const std::size_t digits = run(rest.substr(0, 2), kHex); digits > 0 && is_one_of(c, "xX")) {
    value.push_back(static_cast<char>(number(rest.substr(0, digits), 16)));
    return 2 + digits;
  }
  const std::size_t width = c == 'u' ? 4 : 8;
  const std::string_view code = rest.substr(0, width);
  if (is_one_of(c, "uU") && run(code, kHex) == width && number(code, 16) <= 0x10FFFF) {
    put_utf8(number(code, 16), value);
    return 2 + width;
  }
  fail("'", printable(escape.substr(0, 2)),
       "' in this text stands for no character; write \\\\ for a backslash, or / in a path");
}

void TextTokens::read_number() {
  constexpr std::string_view kOfNumbers =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.";
  std::size_t bytes = run(text_, kOfNumbers);
  const bool hex = text_.starts_with("0x") || text_.starts_with("0X");
  // The sign of an exponent.
  if (!hex && bytes < text_.size() && is_one_of(text_[bytes - 1], "eE") &&
      is_one_of(text_[bytes], "+-"))
    bytes += 1 + run(text_.substr(bytes + 1), kOfNumbers);
  now_.text = text_.substr(0, bytes);
  if (is_integer(now_.text))
    now_.kind = TextToken::integer;
  else if (is_real(now_.text))
    now_.kind = TextToken::real;
  else if (now_.text[0] == '0' && run(now_.text, "0123456789.") == bytes)
    fail("'", printable(now_.text), "' begins with 0, which is for octal numbers; leave the 0 out");
  else
    fail("'", printable(now_.text), "' is not a number",
         is_one_of(now_.text.back(), kDigits) ? "" : "; a blank may be missing");
  advance(bytes);
}

}  // namespace doppio
