#include "tools/model_folder.hpp"

#include <algorithm>
#include <filesystem>

#include "doppio/error.hpp"

namespace doppio {

namespace fs = std::filesystem;

std::string models_folder() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path folder = program.parent_path().parent_path() / "share" / "doppio" / "models";
  require(fs::is_directory(folder), "the nets that come with Doppio are not installed in ",
          folder.string(), "; give --like the path of a folder such as models/alexnet");
  return folder.string();
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(models_folder()))
    if (fs::exists(entry.path() / "train_val.prototxt"))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace doppio
