#include "cuda/engines/algorithm_file.hpp"

#include <glog/logging.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include "cuda/check.hpp"
#include "cuda/runtime/cudnn.hpp"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"
#include "io/input_file.hpp"

namespace doppio::cuda {

namespace {

/// Returns an empty path if the environment names no folder.
std::filesystem::path cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::filesystem::path(cache) / "doppio";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::filesystem::path(home) / ".cache" / "doppio";
  return {};
}

/// Returns the file for a GPU model; empty if there is no cache folder.
std::filesystem::path cache_file(const std::string& gpu) {
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return {};
  std::string name = str("cudnn-", cudnn().GetVersion(), "-", gpu);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '-';
  return folder / (name + ".txt");
}

constexpr std::size_t kMaxCacheBytes = 16 << 20;

/// The saved algorithms for a GPU model.
class AlgorithmFile {
 public:
  explicit AlgorithmFile(std::filesystem::path path) : path_(std::move(path)) {
    // Line format: number, math type, layout, pass. Other lines are dropped. Layout 3 is NHWC of
    // bfloat16.
    for (const TextLine& line : lines_of(read_head(path_, kMaxCacheBytes))) {
      int number = 0, math = 0, layout = 0, length = 0;
      if (std::sscanf(line.text.c_str(), "%d %d %d %n", &number, &math, &layout, &length) == 3 &&
          length > 0)
        found_[line.text.substr(static_cast<std::size_t>(length))] = {
            number, static_cast<cudnnMathType_t>(math),
            layout == 3 ? Layout::nhwc : static_cast<Layout>(layout)};
    }
  }

  const ConvolutionAlgorithm* find(const std::string& what) const {
    const auto at = found_.find(what);
    return at == found_.end() ? nullptr : &at->second;
  }

  void add(const std::string& what, const ConvolutionAlgorithm& algorithm) {
    found_[what] = algorithm;
    if (path_.empty()) return;
    try {
      std::filesystem::create_directories(path_.parent_path());
      write_file_atomically(path_, [&](std::ostream& file) {
        for (const auto& [key, a] : found_)
          file << a.number << ' ' << a.math << ' ' << static_cast<int>(a.layout) << ' ' << key
               << '\n';
      });
    } catch (const std::exception& e) {
      LOG(WARNING) << "cuDNN's algorithms cannot be saved, so a training run that is resumed "
                   << "may round differently: " << e.what();
      path_.clear();
    }
  }

 private:
  std::filesystem::path path_;
  std::map<std::string, ConvolutionAlgorithm> found_;
};

std::string name_of_gpu() {
  int id = 0;
  check(cudaGetDevice(&id), "querying the device");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, id), "querying the device's properties");
  return properties.name;
}

}  // namespace

ConvolutionAlgorithm remembered_algorithm(
    const std::string& what, const std::function<bool(const ConvolutionAlgorithm&)>& usable,
    const std::function<FoundAlgorithm()>& search) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, AlgorithmFile> files;
  const std::lock_guard lock(mutex);
  const std::filesystem::path path = cache_file(name_of_gpu());
  AlgorithmFile& file = files.try_emplace(path, path).first->second;
  const ConvolutionAlgorithm* known = file.find(what);
  if (known && usable(*known)) return *known;
  const FoundAlgorithm found = search();
  if (found.lasting) file.add(what, found.algorithm);
  return found.algorithm;
}

}  // namespace doppio::cuda
