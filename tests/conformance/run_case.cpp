#include "run_case.hpp"

#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "doppio/extend/registry.hpp"
#include "support/parse_errors.hpp"

namespace doppio::conformance {
namespace {

namespace fs = std::filesystem;

/// Fills `to` with links to what is in `from`, except for `except`; databases are copied, because
/// opening one may write to it.
void link_entries(const fs::path& from, const fs::path& to, const fs::path& except) {
  for (const auto& entry : fs::directory_iterator(from)) {
    if (entry.path() == except) continue;
    if (fs::exists(entry.path() / "CURRENT") || fs::exists(entry.path() / "data.mdb"))
      fs::copy(entry.path(), to / entry.path().filename(), fs::copy_options::recursive);
    else
      fs::create_symlink(entry.path(), to / entry.path().filename());
  }
}

/// The current folder for the lifetime of this object. For cases that write files or open databases
/// it is a copy of the case's, with links around it for paths that begin with "../" or "../../".
class WorkingFolder {
 public:
  explicit WorkingFolder(const Case& c) : before_(fs::current_path()) {
    if (c.kind == Case::Kind::layer) {
      fs::current_path(c.folder);
      return;
    }
    std::string name = (fs::temp_directory_path() / "conformance_XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, name, ": cannot make a temporary folder");
    copy_ = name;
    const fs::path parent = c.folder.parent_path(), parent_copy = copy_ / parent.filename();
    fs::create_directory(parent_copy);
    link_entries(parent.parent_path(), copy_, parent);
    link_entries(parent, parent_copy, c.folder);
    fs::copy(c.folder, parent_copy / c.folder.filename(), fs::copy_options::recursive);
    fs::current_path(parent_copy / c.folder.filename());
  }
  ~WorkingFolder() {
    std::error_code ignored;
    fs::current_path(before_, ignored);
    if (!copy_.empty()) fs::remove_all(copy_, ignored);
  }
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;

 private:
  fs::path before_, copy_;
};

/// The layer types of net.prototxt that cannot run on `device`, for example "'AbsVal' 'Tile'".
std::string missing_types(Device device) {
  const NetParameter net = read_net_loosely();
  std::string missing;
  for (const LayerParameter& layer : net.layer()) {
    const std::string quoted = " '" + layer.type() + "'";
    if (!LayerRegistry::instance().find_or_null(layer.type(), device) &&
        missing.find(quoted) == std::string::npos)
      missing += quoted;
  }
  return missing;
}

/// The GPU of all cases that this process runs; nothing closes it, because the process ends by
/// _exit.
const std::shared_ptr<Accelerator>& shared_gpu() {
  static const std::shared_ptr<Accelerator> gpu = open_accelerator(0);
  return gpu;
}

Result run_here(const Case& c, Device device, bool reference) {
  if (device == Device::cuda && list_accelerators().empty())
    return {Result::Outcome::skipped, "no CUDA device, or a build without CUDA"};
  const WorkingFolder folder(c);
  const std::string missing = missing_types(device);
  if (!missing.empty())
    return {Result::Outcome::skipped,
            str("this build has no layer type", missing, " for ", device_name(device))};
  const auto ctx = device == Device::cpu ? std::make_unique<Context>(1)
                                         : std::make_unique<Context>(shared_gpu(), 1);
  ctx->reference = reference;
  switch (c.kind) {
    case Case::Kind::data:
      return run_data_case(c, *ctx);
    case Case::Kind::solver:
      return run_solver_case(c, *ctx);
    default:
      return run_layer_case(c, *ctx);
  }
}

}  // namespace

NetParameter read_net_loosely() {
  std::ostringstream text;
  text << std::ifstream("net.prototxt").rdbuf();
  NetParameter net;
  FirstParseError ignored;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&ignored);
  parser.AllowUnknownField(true);
  static_cast<void>(parser.ParseFromString(text.str(), &net));  // as far as it can
  return net;
}

Result run_case(const Case& c, Device device, bool reference) {
  try {
    return run_here(c, device, reference);
  } catch (const std::exception& e) {
    return {Result::Outcome::failed, e.what()};
  }
}

}  // namespace doppio::conformance
