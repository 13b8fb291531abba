#include "data/image/window_list.hpp"

#include <charconv>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

constexpr std::string_view kBlanks = " \t\v\f";

/// Reads the words of a text file.
class Words {
 public:
  explicit Words(const std::string& file) : file_(file), lines_(read_lines(file)) { skip_blanks(); }

  bool at_end() const { return line_ == lines_.size(); }

  /// Returns the next word, or "" at the end.
  std::string_view next() {
    const std::string_view word = peek();
    if (word.empty()) return word;
    last_ = line_;
    at_ += word.size();
    skip_blanks();
    return word;
  }

  /// Returns the next words of the line up to a number, because a path may contain blanks.
  std::string_view path() {
    const std::size_t line = line_;
    std::string_view path = next();
    for (int number = 0; line_ == line && !parse(peek(), number);) {
      const std::string_view word = next();
      path = {path.data(), static_cast<std::size_t>(word.data() + word.size() - path.data())};
    }
    return path;
  }

  /// Parses words as numbers. Returns false if one is not a number.
  template <class... Numbers>
  bool read(Numbers&... values) {
    return (parse(next(), values) && ...);
  }

  /// Throws: Error at the word that was read last.
  template <class... Parts>
  void need(bool ok, const Parts&... parts) const {
    if (ok) return;
    const TextLine line = lines_.empty() ? TextLine{} : lines_[last_];
    const std::optional<Lookalike> odd = find_lookalike(line.text);
    throw Error(str(parts..., odd ? "; here is " + odd->what : ""),
                {file_, line.number, odd ? odd->column : 0});
  }

 private:
  std::string_view peek() const {
    if (at_end()) return {};
    const std::string_view rest = std::string_view(lines_[line_].text).substr(at_);
    return rest.substr(0, rest.find_first_of(kBlanks));
  }

  template <class Number>
  static bool parse(std::string_view word, Number& value) {
    if (word.starts_with('+')) word.remove_prefix(1);
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), value);
    return status == std::errc() && end == word.data() + word.size();
  }

  void skip_blanks() {
    for (; line_ < lines_.size(); ++line_, at_ = 0) {
      at_ = lines_[line_].text.find_first_not_of(kBlanks, at_);
      if (at_ != std::string::npos) return;
    }
  }

  const std::string file_;
  const std::vector<TextLine> lines_;
  std::size_t line_ = 0, at_ = 0;  // of the next word
  std::size_t last_ = 0;           // of the previous word
};

}  // namespace

WindowList read_window_list(const std::string& file, float object_overlap,
                            float background_overlap) {
  constexpr int kMaxCoordinate = 1 << 20;
  WindowList list;
  Words words(file);
  while (!words.at_end()) {
    const auto image = static_cast<int>(list.images.size());
    int index = 0, channels = 0, height = 0, width = 0, windows = 0;
    const auto need = [&](bool ok, const char* what) {
      words.need(ok, "image ", index, ": ", what);
    };
    need(words.next() == "#" && words.read(index), "an image begins with '#' and its number");
    list.images.emplace_back(words.path());
    need(words.read(channels, height, width, windows),
         "expected path, channels, height, width and number of windows");
    for (int i = 0; i < windows; ++i) {
      Window w{.image = image};
      float overlap = 0;
      need(words.read(w.label, overlap, w.x1, w.y1, w.x2, w.y2),
           "a window is six numbers: label overlap x1 y1 x2 y2");
      for (const int v : {w.x1, w.y1, w.x2, w.y2})
        need(v >= -kMaxCoordinate && v <= kMaxCoordinate, "a corner lies too far out");
      if (overlap >= object_overlap) {
        need(w.label > 0, "an object needs a label above 0");
        list.objects.push_back(w);
      } else if (overlap < background_overlap) {
        w.label = 0;
        list.background.push_back(w);
      }
    }
  }
  require(!list.images.empty(), "the window file ", printable(file), " is empty");
  return list;
}

}  // namespace doppio
