#include "solver/snapshot_files.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "doppio/error.hpp"
#include "net/weights/checked_file.hpp"
#include "solver/solver_state.hpp"

namespace doppio {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& file) {
  std::error_code unknown;
  return fs::exists(file, unknown);
}

/// Returns candidate paths of the weights: beside the state under the state's name, since both are
/// renamed and copied together, beside it under the recorded name, and as recorded.
std::vector<fs::path> model_places(const SolverState& state, const std::string& state_file) {
  const fs::path recorded = state.learned_net(), folder = fs::path(state_file).parent_path();
  std::string stem = fs::path(state_file).filename();
  stem.resize(std::min(stem.rfind(".solverstate"), stem.size()));
  std::vector<fs::path> places;
  for (const fs::path& place :
       {folder / (stem + (recorded.extension() == ".h5" ? ".caffemodel.h5" : ".caffemodel")),
        folder / recorded.filename(), recorded})
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
  return places;
}

/// Returns the existing weight file whose checksum matches the state. Caffe's states record no
/// checksum, so the first existing file is used.
std::string find_model(const SolverState& state, const std::string& state_file) {
  std::string names, first, first_sha256;
  for (const fs::path& place : model_places(state, state_file)) {
    names += (names.empty() ? "'" : ", '") + place.string() + "'";
    if (!is_there(place)) continue;
    const std::string sha256 = check_file(place);
    if (!state.has_learned_net_sha256() || sha256 == state.learned_net_sha256()) return place;
    if (!first.empty()) continue;
    first = place;
    first_sha256 = sha256;
  }
  require(!first.empty(), "its weights are missing: there is none of ", names,
          "; copy the .caffemodel beside the .solverstate");
  throw Error(str("its weights '", first, "' are damaged or another run's: their SHA-256 is ",
                  first_sha256, ", it was written with ", state.learned_net_sha256(),
                  "; copy the right file beside it, or add --weights=", first,
                  " to continue with these"));
}

}  // namespace

std::string model_of(const SolverState& state, const std::string& state_file) {
  std::string model = find_model(state, state_file);
  const std::string name = fs::path(model).filename(),
                    recorded = fs::path(state.learned_net()).filename();
  LOG(INFO) << "Weights of " << state_file << ": " << model
            << (name == recorded ? "" : ", which was called " + recorded + " when it was written");
  return model;
}

std::string newest_snapshot(const std::string& prefix) {
  const fs::path folder = fs::path(prefix).parent_path();
  const std::string stem = fs::path(prefix).filename().string() + "_iter_";
  std::map<int, std::string, std::greater<>> states;  // newest first
  std::error_code unknown;
  for (const auto& entry :
       fs::directory_iterator(folder.empty() ? fs::path(".") : folder, unknown)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(stem)) continue;
    int iteration = 0;
    const char* const end = name.data() + name.size();
    const auto number = std::from_chars(name.data() + stem.size(), end, iteration);
    const std::string extension(number.ptr, end);
    if (number.ec == std::errc() && (extension == ".solverstate" || extension == ".solverstate.h5"))
      states[iteration] = (folder / name).string();
  }
  for (const auto& [iteration, file] : states) try {
      const SolverState state = read_solver_state(file);
      find_model(state, file);
      return file;
    } catch (const Error& e) {
      LOG(WARNING) << file << " is not a whole snapshot: " << e.what();
    }
  return {};
}

}  // namespace doppio
