#include "tools/project/project_folder.hpp"

#include <charconv>
#include <filesystem>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// Returns N of a file name PREFIX_iter_N.caffemodel, or -1.
long iteration_of(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::size_t at = name.rfind("_iter_");
  if (at == name.npos) return -1;
  long iteration = -1;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + at + 6, end, iteration);
  return error == std::errc() && std::string(rest, end) == ".caffemodel" ? iteration : -1;
}

std::string newest_weights(const std::string& folder) {
  std::string newest;
  long last = -1;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (iteration_of(entry.path()) <= last) continue;
    last = iteration_of(entry.path());
    newest = entry.path().string();
  }
  require(!newest.empty(), printable(folder),
          " has no weights (NAME_iter_N.caffemodel) yet; give --weights, or train first: ",
          shell_command({"doppio", "train", "--solver=" + folder}));
  return newest;
}

}  // namespace

std::string file_in_folder(const std::string& path, const std::string& name) {
  if (!fs::is_directory(path)) return path;
  const std::string file = (fs::path(path) / name).string();
  require(fs::exists(file), printable(path), " is a folder without a file ", name,
          "; `doppio new` makes folders with one");
  return file;
}

void use_project_folder(const std::string& net) {
  const std::string folder = FLAGS_model;
  if (!fs::is_directory(folder)) return;
  FLAGS_model = file_in_folder(folder, net);
  if (FLAGS_weights.empty()) FLAGS_weights = newest_weights(folder);
  const std::string labels = (fs::path(folder) / "labels.txt").string();
  if (FLAGS_labels.empty() && fs::exists(labels)) FLAGS_labels = labels;
}

}  // namespace doppio
