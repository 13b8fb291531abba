#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/text_tokens.hpp"

namespace doppio {

/// Maximum nesting depth of messages and lists.
inline constexpr int kMaxTextDepth = 100;

/// Quotes and truncates text for messages.
std::string in_quotes(std::string_view text);
/// Describes a token for messages.
std::string shown(const TextToken& token);

/// Base class of parsers: reads tokens, skips values and collects errors.
class TextReader {
 protected:
  explicit TextReader(std::string file) : file_(std::move(file)) {}

  /// Runs `action` on the tokens of `text`. Throws: one Error that lists all errors.
  template <class Action>
  void run(std::string_view text, Action action) {
    try {
      tokens_.emplace(text, file_);
      action();
    } catch (const Stop&) {
    } catch (const Error& e) {  // from the tokenizer
      errors_.push_back(e);
    }
    throw_errors();
  }

  TextTokens& tokens() { return *tokens_; }
  const TextToken& now() const { return tokens_->now(); }
  Location here() const { return tokens_->where(); }
  void next() { tokens_->next(); }
  bool take(std::string_view sign) { return tokens_->take(sign); }

  void problem(Error error) { errors_.push_back(std::move(error)); }
  template <class... Parts>
  void problem(const Location& where, const Parts&... parts) {
    problem(Error(str(parts...), where));
  }
  /// Ends parsing, since nothing after a syntax error can be trusted.
  [[noreturn]] void stop() { throw Stop(); }
  /// Reports a syntax error at the current token and ends parsing.
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) {
    problem(here(), parts...);
    stop();
  }

  /// Skips a value that is nested `depth` levels deep.
  void skip_value(std::size_t depth);
  void check_depth(std::size_t depth) {
    if (depth > kMaxTextDepth) fail("nested more than ", kMaxTextDepth, " levels deep");
  }
  static std::string_view closing(std::string_view brace) {
    return brace == "{" ? "}" : brace == "<" ? ">" : "]";
  }

 private:
  struct Stop {};
  void throw_errors();
  void skip_scalar();

  std::string file_;
  std::optional<TextTokens> tokens_;
  std::vector<Error> errors_;
};

}  // namespace doppio
