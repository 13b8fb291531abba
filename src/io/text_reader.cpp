#include "io/text_reader.hpp"

#include <algorithm>
#include <utility>

#include "core/printable.hpp"

namespace doppio {

// Not `quoted`, which would be ambiguous with std::quoted for a std::string.
std::string in_quotes(std::string_view text) { return "'" + printable(text, 60) + "'"; }

std::string shown(const TextToken& token) {
  if (token.kind == TextToken::end) return "the end of the file";
  return token.kind == TextToken::string ? printable(token.text, 60) : in_quotes(token.text);
}

void TextReader::throw_errors() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
    return std::pair(a.where().line, a.where().column) <
           std::pair(b.where().line, b.where().column);
  });
  Problems problems;
  for (const Error& e : errors_) problems.add(e);
  problems.throw_if_any();
}

void TextReader::skip_value(std::size_t depth) {
  std::vector<std::pair<std::string_view, Location>> open;
  const auto opens = [&] { return now().is("{") || now().is("<") || now().is("["); };
  const auto ends = [&] { return now().is("}") || now().is(">") || now().is("]"); };
  if (!opens()) return skip_scalar();
  do {
    if (opens()) {
      check_depth(depth + open.size() + 1);
      open.emplace_back(now().text, here());
    } else if (now().kind == TextToken::end) {
      problem(open.back().second, in_quotes(open.back().first), " has no closing '",
              closing(open.back().first), "' before the end of the file");
      stop();
    } else if (ends()) {
      if (!now().is(closing(open.back().first)))
        fail("the ", in_quotes(open.back().first), " of line ", open.back().second.line,
             " is closed by '", closing(open.back().first), "', not by ", shown(now()));
      open.pop_back();
    }
    next();
  } while (!open.empty());
}

void TextReader::skip_scalar() {
  take("-");
  if (now().kind == TextToken::end || now().kind == TextToken::sign)
    fail("a value is expected, not ", shown(now()));
  bool again = now().kind == TextToken::string;
  for (next(); again && now().kind == TextToken::string;) next();
}

}  // namespace doppio
