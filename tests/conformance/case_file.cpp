#include "case_file.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace doppio::conformance {
namespace {

namespace fs = std::filesystem;

/// Next word of a record; "-" stands for an absent file.
std::string word(std::istream& in) {
  std::string text;
  in >> text;
  return text == "-" ? "" : text;
}

template <class T>
T number(std::istream& in) {
  T value{};
  in >> value;
  return value;
}

/// Adds the record in `in` to `m`; false if its key is unknown or a word is missing.
bool read_record(const std::string& key, std::istream& in, Manifest& m) {
  if (key == "case" || key == "force_backward") {
    word(in);  // the net.prototxt says the same
  } else if (key == "phase") {
    m.phase = word(in) == "TRAIN" ? TRAIN : TEST;
  } else if (key == "forward_passes") {
    m.forward_passes = number<int>(in);
  } else if (key == "backward") {
    m.backward = number<int>(in) != 0;
  } else if (key == "weights") {
    m.weights = word(in);
  } else if (key == "loss") {
    m.loss = number<double>(in);
  } else if (key == "input") {
    m.inputs.push_back({word(in), word(in), word(in)});
  } else if (key == "output") {
    m.outputs.push_back({word(in), word(in), word(in), number<float>(in)});
  } else if (key == "param") {
    m.params.push_back({word(in), number<std::size_t>(in), word(in), word(in)});
  } else if (key == "blob") {
    m.intermediates.push_back({word(in), word(in)});
  } else if (key == "batch") {
    m.batches.push_back({number<int>(in), word(in), word(in)});
  } else {
    return false;
  }
  return !in.fail();
}

/// Whether `folder` is a case, and of which kind.
bool is_case(const fs::path& folder, Case::Kind& kind) {
  if (fs::exists(folder / "trace.txt") && fs::exists(folder / "solver.prototxt")) {
    kind = Case::Kind::solver;
    return true;
  }
  std::ifstream in(folder / "case.txt");
  if (!in) return false;
  kind = Case::Kind::layer;
  for (std::string key; in >> key; std::getline(in, key))
    if (key == "batch") kind = Case::Kind::data;
  return true;
}

}  // namespace

Manifest read_manifest(const fs::path& file) {
  Manifest manifest;
  std::ifstream in(file);
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    std::istringstream record(text);
    std::string key;
    if (!(record >> key) || key[0] == '#') continue;
    if (!read_record(key, record, manifest))
      throw Error("cannot read the record '" + text + "'", {file.string(), line, 1});
  }
  return manifest;
}

std::vector<Case> find_cases(const fs::path& folder, const std::string& filter) {
  require(fs::is_directory(folder), "--cases=", folder.string(), ": no such folder");
  std::vector<Case> cases;
  const auto add = [&](const fs::path& path) {
    Case found;
    if (!is_case(path, found.kind)) return;
    found.folder = fs::canonical(path);
    found.name = fs::relative(path, folder).string();
    if (found.name == ".") found.name = found.folder.filename().string();
    if (found.name.find(filter) != std::string::npos) cases.push_back(found);
  };
  add(folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_directory()) add(entry.path());
  std::sort(cases.begin(), cases.end(),
            [](const Case& a, const Case& b) { return a.name < b.name; });
  return cases;
}

}  // namespace doppio::conformance
