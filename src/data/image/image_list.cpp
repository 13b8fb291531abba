#include "data/image/image_list.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

constexpr std::string_view kBlanks = " \t";

bool exists(const std::string& path) {
  std::error_code failed;
  return std::filesystem::exists(path, failed) && !std::filesystem::is_directory(path, failed);
}

/// A line split at its last blank. Without a blank there is no label.
struct Halves {
  std::string_view path, label;
};

Halves split_at_last_blank(std::string_view line) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const auto label = std::find_if(line.rbegin(), line.rend(), is_blank);
  if (label == line.rend()) return {line, {}};
  const auto path = std::find_if_not(label, line.rend(), is_blank);
  return {line.substr(0, static_cast<std::size_t>(line.rend() - path)),
          line.substr(static_cast<std::size_t>(line.rend() - label))};
}

bool is_number(std::string_view word) {
  return word.find_first_of("0123456789") != word.npos &&
         word.find_first_not_of("0123456789.,;+-") == word.npos;
}

/// Explains why a word is not a label.
std::string no_label(std::string_view word) {
  std::string quoted = str("label '", printable(word), "' is not an integer");
  if (is_number(word) && word.find_first_of(",;") != word.npos)
    return quoted + "; an image has one label; HDF5Data reads several";
  if (is_number(word)) return quoted + "; HDF5Data reads labels with a fraction";
  const std::size_t dot = word.rfind('.');
  const std::string_view ending = dot == word.npos ? "" : word.substr(dot + 1);
  if (ending == "xml" || ending == "json" || ending == "txt")
    return quoted +
           "; for images with a file of boxes each, make a database with `doppio convert "
           "annotations`, and read it with AnnotatedData";
  return quoted;
}

int parse_label(std::string_view word) {
  constexpr long long kMaxLabel = 1 << 24;  // labels become floats, exact up to here
  std::string_view digits = word;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  long long label = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), label);
  if (end != digits.data() + digits.size() || status == std::errc::invalid_argument)
    throw Error(no_label(word));
  require(status == std::errc() && label >= -kMaxLabel && label <= kMaxLabel, "label ", word,
          " is too large, at most ", kMaxLabel, " can be trained");
  return static_cast<int>(label);
}

ImageEntry parse_line(const TextLine& line, const std::string& root) {
  const auto [path, label] = split_at_last_blank(line.text);
  require(!path.empty() && !label.empty(), "no label; a line is \"path label\"");
  ImageEntry entry{std::string(path), parse_label(label)};
  // "a.jpg 1 0" is the image "a.jpg 1", unless existing files show otherwise.
  const Halves more = split_at_last_blank(path);
  if (!is_number(more.label) || exists(root + entry.path)) return entry;
  for (Halves image = more; is_number(image.label); image = split_at_last_blank(image.path)) {
    const std::size_t labels = line.text.find_first_not_of(kBlanks, image.path.size());
    require(!exists(root + std::string(image.path)), "an image has one label, but '",
            printable(image.path), "' has several: '", line.text.substr(labels),
            "'; HDF5Data reads several");
  }
  return entry;
}

/// Adds the line to an Error, and any character in it that only looks like plain text.
Error located(const Error& e, const std::string& list, const TextLine& line) {
  const std::optional<Lookalike> odd = find_lookalike(line.text);
  if (!odd) return Error(e.message(), {list, line.number});
  return Error(str(e.message(), "; here is ", odd->what), {list, line.number, odd->column});
}

/// Hints at a root without trailing slash, which turns "images" and "a.png" into "imagesa.png".
std::string slash_hint(const std::string& root, const std::string& path) {
  if (root.empty() || root.ends_with('/') || !exists(root + "/" + path)) return {};
  return str("; the root folder is put before each path as it is, did you mean '", printable(root),
             "/'?");
}

/// Explains what may be wrong with the path of a missing file.
std::string path_hint(const std::string& root, const std::string& path) {
  std::string slashes = path;
  std::replace(slashes.begin(), slashes.end(), '\\', '/');
  if (slashes != path && exists(root + slashes)) return "; write / instead of \\ in the list";
  if (!root.empty() && exists(path)) return "; it is there without the root folder";
  if (path.find_first_of(" \t\"'") == 0)
    return "; the blank or quote before the path belongs to it";
  if (is_number(split_at_last_blank(path).label))
    return "; if the line has several labels, use HDF5Data";
  return slash_hint(root, path);
}

}  // namespace

std::vector<ImageEntry> read_image_list(const std::string& list, const std::string& root) {
  constexpr int kManyProblems = 20;
  std::vector<ImageEntry> entries;
  Problems problems;
  int problem_count = 0;
  for (const TextLine& line : read_lines(list)) {
    try {
      entries.push_back(parse_line(line, root));
    } catch (const Error& e) {
      problems.add(located(e, list, line));
      if (++problem_count == kManyProblems) break;
    }
  }
  problems.throw_if_any();
  require(!entries.empty(), "the list ", printable(list), " is empty");
  const std::string& first = entries.front().path;
  if (const std::string hint = slash_hint(root, first); !hint.empty() && !exists(root + first))
    throw Error(str("there is no '", printable(root + first), "'", hint));
  return entries;
}

std::string read_listed_file(const std::string& root, const std::string& path) {
  try {
    return read_file(root + path);
  } catch (const Error& e) {
    if (exists(root + path)) throw;
    throw Error(e.message() + path_hint(root, path));
  }
}

}  // namespace doppio
