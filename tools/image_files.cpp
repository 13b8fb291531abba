#include "tools/image_files.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// Returns the line's image: all of it is a path unless it ends in a blank and an integer.
ImageFile listed_image(const std::string& line, const std::string& root) {
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == line.npos) return {root + line};
  int label = 0;
  const char* const end = line.data() + line.size();
  const auto [used, error] = std::from_chars(line.data() + blank + 1, end, label);
  if (error != std::errc() || used != end) return {root + line};
  const std::size_t last = line.find_last_not_of(" \t", blank);
  return {root + line.substr(0, last == line.npos ? 0 : last + 1), label};
}

bool is_list(const std::string& path) {
  if (has_image_ending(path)) return false;
  const std::string head = read_head(path, kHeadBytes);
  return !head.empty() && is_text(head);
}

}  // namespace

bool has_image_ending(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* known :
       {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".jp2", ".gif"})
    if (ending == known) return true;
  return false;
}

std::vector<std::string> images_below(const std::string& folder, std::size_t* ignored) {
  std::vector<std::string> images;
  std::error_code failed;
  auto entry = fs::recursive_directory_iterator(folder, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    const bool hidden = entry->path().filename().string().starts_with('.');
    const bool is_folder = entry->is_directory(), is_link = entry->is_symlink();
    if (is_folder && hidden) entry.disable_recursion_pending();
    if (is_folder && !is_link) continue;
    if (!is_folder && !hidden && entry->is_regular_file() &&
        has_image_ending(entry->path().string()))
      images.push_back(entry->path().string());
    else if (ignored)
      ++*ignored;
  }
  require(!failed, "cannot read the folder ", printable(folder),
          " and all folders in it: ", failed.message());
  std::sort(images.begin(), images.end());
  return images;
}

std::vector<ImageFile> expand_images(const std::vector<std::string>& operands,
                                     const std::string& root) {
  std::vector<ImageFile> images;
  const std::string prefix = root + (fs::is_directory(root) && !root.ends_with('/') ? "/" : "");
  for (const std::string& operand : operands) {
    const std::size_t before = images.size();
    if (fs::is_directory(operand)) {
      for (std::string& path : images_below(operand)) images.push_back({std::move(path)});
      require(images.size() > before, printable(operand), ": the folder has no image files");
    } else if (is_list(operand)) {
      for (const TextLine& line : read_lines(operand))
        images.push_back(listed_image(line.text, prefix));
      require(images.size() > before, printable(operand), ": the list is empty");
    } else {
      images.push_back({operand});
    }
  }
  return images;
}

}  // namespace doppio
