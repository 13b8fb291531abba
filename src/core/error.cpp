#include "doppio/error.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "core/printable.hpp"

namespace doppio {

namespace {

/// Escapes everything in `message` that could affect a terminal, except newlines.
std::string harmless(std::string_view message) {
  std::string out;
  for (;;) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    out += printable(message.substr(0, end), message.npos);
    if (end == message.size()) return out;
    out += '\n';
    message.remove_prefix(end + 1);
  }
}

std::string with_location(const std::string& message, const Location& where) {
  return where.file.empty() ? message : where.text() + ": error: " + message;
}

/// Number of insertions, deletions, replacements and swaps of neighbours between two words, case
/// ignored.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const bool same = lower(a[i]) == lower(b[j]);
      next[j + 1] = std::min({row[j + 1] + 1, next[j] + 1, row[j] + (same ? 0 : 1)});
      if (i > 0 && j > 0 && lower(a[i]) == lower(b[j - 1]) && lower(a[i - 1]) == lower(b[j]))
        next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
    }
    before = row;
    row = next;
  }
  return row[b.size()];
}

}  // namespace

std::string Location::text() const {
  std::string s = printable(file, file.npos);
  if (line > 0) s += ":" + std::to_string(line);
  if (line > 0 && column > 0) s += ":" + std::to_string(column);
  return s;
}

Error::Error(const std::string& message, Location where, std::string field)
    : std::runtime_error(with_location(harmless(message), where)),
      message_(harmless(message)),
      where_(std::move(where)),
      field_(std::move(field)) {}

void Problems::throw_if_any() const {
  if (errors_.empty()) return;
  if (errors_.size() == 1) throw errors_.front();
  constexpr std::size_t kShown = 20;
  std::string all = errors_.front().message();
  for (std::size_t i = 1; i < std::min(errors_.size(), kShown); ++i)
    all += str("\n", errors_[i].what());
  if (errors_.size() > kShown) all += str("\nand ", errors_.size() - kShown, " more errors");
  throw Error(all, errors_.front().where(), errors_.front().field());
}

std::vector<std::string> nearest(std::string_view name, const std::vector<std::string>& known) {
  // A few edits turn a short name into any other; long names may share an ending.
  const std::size_t limit = std::min(name.size() / 3, 2 + name.size() / 20);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& k : known) {
    const bool of_like_length = k.size() <= name.size() + limit && name.size() <= k.size() + limit;
    if (!of_like_length || k == name) continue;
    if (const std::size_t d = edit_distance(name, k); d <= limit) near.emplace_back(d, k);
  }
  std::sort(near.begin(), near.end());
  // A name that differs only in case is the intended one.
  if (!near.empty() && near[0].first == 0) near.resize(1);
  if (near.size() > 3) near.resize(3);
  std::vector<std::string> names;
  for (auto& [d, k] : near) names.push_back(std::move(k));
  return names;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  std::string s;
  for (const std::string& k : nearest(name, known))
    s += str(s.empty() ? "" : " or ", "'", printable(k), "'");
  return s.empty() ? s : "; did you mean " + s + "?";
}

}  // namespace doppio
