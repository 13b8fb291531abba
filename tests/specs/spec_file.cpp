#include "spec_file.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "support/parse_errors.hpp"

namespace doppio::specs {
namespace {

namespace fs = std::filesystem;

void read_file(const fs::path& file, std::vector<NamedSpec>& out) {
  const std::string stem = file.stem().string();
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  FirstParseError first_error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&first_error);
  SpecFile parsed;
  if (!parser.ParseFromString(text.str(), &parsed)) {
    out.push_back({stem, {}, file.filename().string() + ":" + first_error.text});
    return;
  }
  if (parsed.spec_size() == 0) out.push_back({stem, {}, file.filename().string() + ": no spec"});
  std::set<std::string> seen;
  for (const Spec& spec : parsed.spec()) {
    const bool unique = !spec.name().empty() && seen.insert(spec.name()).second;
    out.push_back({stem + "_" + (unique ? spec.name() : std::to_string(out.size())), spec,
                   unique ? "" : file.filename().string() + ": a spec needs a name of its own"});
  }
}

}  // namespace

std::vector<NamedSpec> read_specs() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(DOPPIO_SPECS_DIR))
    if (entry.path().extension() == ".prototxt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<NamedSpec> specs;
  for (const fs::path& file : files) read_file(file, specs);
  return specs;
}

}  // namespace doppio::specs
