#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "doppio/error.hpp"

namespace doppio {

/// A word, number, string or sign of a text message.
struct TextToken {
  enum Kind { end, word, integer, real, string, sign };
  Kind kind = end;
  std::string_view text;  ///< as written
  std::string value;      ///< unescaped contents of a string
  int line = 1, column = 1;

  bool is(std::string_view written) const { return kind != string && text == written; }
};

/// Splits protobuf's text format into tokens; comments run from # to the end of the line. Columns
/// count characters.
class TextTokens {
 public:
  /// Reads the first token. `text` must outlive this. Throws: Error, as next().
  TextTokens(std::string_view text, const std::string& file) : text_(text), file_(file) { next(); }

  const TextToken& now() const { return now_; }
  Location where() const { return {file_, now_.line, now_.column}; }

  /// Reads the next token, which is Kind::end after the last one. Throws: Error at an unterminated
  /// string, an invalid escape, a malformed number or an invalid character.
  void next();
  /// Reads the next token if the current one is `sign`. Returns whether it was.
  bool take(std::string_view sign) {
    if (!now_.is(sign)) return false;
    next();
    return true;
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(str(parts...), {file_, line_, column_});
  }
  void skip_blanks();
  void advance(std::size_t bytes);
  void read_string();
  void read_number();
  std::size_t read_escape(std::string_view escape, std::string& value) const;

  std::string_view text_;  // unread text
  std::string file_;
  int line_ = 1, column_ = 1;
  TextToken now_;
};

}  // namespace doppio
