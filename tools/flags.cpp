#include "tools/flags.hpp"

#include <gflags/gflags.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/logging.hpp"

DEFINE_string(gpu, "", "number of the GPU to run on; `train` also takes several: 0,1 or `all`");
DEFINE_string(model, "", "net prototxt");
DEFINE_string(weights, "", "weight files (.caffemodel or .caffemodel.h5), separated by commas");
DEFINE_string(solver, "", "solver prototxt");
DEFINE_int32(iterations, 50,
             "number of batches; without it, `test` reads a set of known size exactly once");
DEFINE_string(phase, "",
              "phase of the net: TRAIN or TEST; without it, each phase that the net has");
DEFINE_int32(level, 0, "level of the net, for its include and exclude rules");
DEFINE_string(stage, "", "stages of the net, for the same rules, separated by commas");
DEFINE_int32(views, 0,
             "views of each image, whose probabilities are averaged: 10 (corners, center and "
             "their mirror images), 5 (no mirror images), 2 (center and its mirror image) or 1; "
             "0: as the prototxt says");
DEFINE_string(labels, "",
              "file with the class names, one per line; for `convert idx`, an idx file of labels");
DEFINE_string(backend, "lmdb", "format of the database: lmdb or leveldb");
DEFINE_bool(overwrite, false, "replace an existing database when the new one is complete");
DEFINE_bool(resume, false,
            "continue an interrupted run: `train` from the newest whole snapshot of "
            "snapshot_prefix (anew if there is none), `convert imageset` where it stopped");
DEFINE_bool(gray, false, "convert images to gray");
DEFINE_int32(threads, 0, "threads to compute with; 0: one per core");
DEFINE_bool(no_fusion, false, "run every layer separately");
DEFINE_bool(
    reference, false,
    "use the reference implementation: im2col and a matrix product for convolutions, generic "
    "kernels for Pooling and LRN, every layer separately; slow");
DEFINE_bool(quiet, false, "log only warnings and errors");
DEFINE_bool(verbose, false, "log details, such as the choice of engines");
DEFINE_string(set, "",
              "FIELD=VALUE or LAYER.FIELD=VALUE: change a field (see below); may be repeated");

namespace doppio {

namespace {

using gflags::CommandLineFlagInfo;

const std::vector<std::string> kCommonFlags = {"threads", "quiet", "verbose"};

const char* const kSetHelp =
    "--set changes a field of the prototxt for one run. It may be given several times:\n"
    "  base_lr=0.02               a field of the solver\n"
    "  compute_type=BFLOAT16      a field that only nets have\n"
    "  data.batch_size=64         a field of a layer, in whichever message of the layer has it\n"
    "  conv1.convolution_param.weight_filler.std=0.02   a field by its full path\n"
    "  test:data.batch_size=10    only in nets of phase TEST (or train:)\n"
    "  stepvalue=100,200          a repeated field is replaced by all of the values\n";

const char* const kLogHelp =
    "glog's flags and variables work as in Caffe: --log_dir=FOLDER (files as well as stderr),\n"
    "--logtostderr, --alsologtostderr, --stderrthreshold, --minloglevel, --v, --vmodule; "
    "GLOG_v=1.\n";

/// Returns the flags that --help lists.
std::vector<std::string> flags_of(const Command& command) {
  std::vector<std::string> names = command.flags;
  names.insert(names.end(), kCommonFlags.begin(), kCommonFlags.end());
  return names;
}

std::vector<std::string> all_flags() {
  std::set<std::string> names;
  for (const Command& command : commands())
    for (const std::string& name : flags_of(command)) names.insert(name);
  names.insert(glog_flags().begin(), glog_flags().end());
  return {names.begin(), names.end()};
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

CommandLineFlagInfo info_of(const std::string& flag) {
  CommandLineFlagInfo info;
  ensure(gflags::GetCommandLineFlagInfo(flag.c_str(), &info), "undefined flag " + flag);
  return info;
}

bool is_bool(const std::string& flag) { return info_of(flag).type == "bool"; }

std::string wanted(const std::string& flag, const std::string& instead_of) {
  const std::string type = info_of(flag).type;
  if (type == "bool") return "true or false";
  if (type == "double") return "a finite number";
  const bool number = instead_of.find_first_not_of("+-0123456789") == instead_of.npos;
  return number && instead_of.size() > 5 ? "a smaller integer" : "an integer";
}

bool set_flag(const std::string& name, const std::string& value) {
  if (gflags::SetCommandLineOption(name.c_str(), value.c_str()).empty()) return false;
  double number = 0;  // gflags accepts "nan" and "inf"
  return info_of(name).type != "double" ||
         (std::istringstream(info_of(name).current_value) >> number && std::isfinite(number));
}

}  // namespace

CommandLine split_command_line(const std::vector<std::string>& arguments) {
  const std::vector<std::string> known = all_flags();
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 2 || argument[0] != '-') {
      line.words.push_back(argument);
      continue;
    }
    if (argument == "--") {
      line.words.insert(line.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                        arguments.end());
      break;
    }
    const std::size_t dashes = argument[1] == '-' ? 2 : 1, equals = argument.find('=');
    std::string name = argument.substr(dashes, equals == argument.npos ? equals : equals - dashes);
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == "help" || name == "h") {
      line.help = true;
    } else if (name == "version") {
      line.version = true;
    } else if (has(known, name) && equals != argument.npos) {
      line.values.emplace_back(name, argument.substr(equals + 1));
    } else if (has(known, name) && is_bool(name)) {
      line.values.emplace_back(name, "true");
    } else if (has(known, name)) {
      if (i + 1 == arguments.size() || arguments[i + 1].starts_with("--"))
        throw UsageError(str("--", name, " needs a value: --", name, "=VALUE"));
      line.values.emplace_back(name, arguments[++i]);
    } else if (name.starts_with("no") && has(known, name.substr(2)) && is_bool(name.substr(2))) {
      line.values.emplace_back(name.substr(2), "false");
    } else {
      throw UsageError(str("unknown flag --", printable(name),
                           name.size() > 1 ? did_you_mean(name, known) : ""));
    }
  }
  return line;
}

Arguments apply_command_line(const CommandLine& line, const Command& command, int name_words) {
  Arguments arguments;
  const std::vector<std::string> listed = flags_of(command);
  for (const auto& [name, value] : line.values) {
    if (!has(listed, name) && !has(glog_flags(), name))
      throw UsageError(
          str("`doppio ", command.name, "` takes no --", name, did_you_mean(name, listed)));
    arguments.command_line.push_back(str("--", name, "=", value));
    if (name == "set")
      arguments.sets.push_back(value);
    else if (!set_flag(name, value))
      throw UsageError(str("--", name, "=", printable(value), ": expected ", wanted(name, value)));
  }
  const auto operands = line.words.begin() + name_words;
  arguments.operands.assign(operands, line.words.end());
  arguments.command_line.insert(arguments.command_line.begin(), line.words.begin(), operands);
  arguments.command_line.insert(arguments.command_line.end(), operands, line.words.end());
  const int n = static_cast<int>(arguments.operands.size());
  if (n < command.min_operands || n > command.max_operands) {
    const std::string wanted = command.operands.empty() ? "no words" : command.operands;
    throw UsageError(str("`doppio ", command.name, "` takes ", wanted, " besides its flags, not ",
                         n == 0 ? "nothing" : "'" + printable(arguments.operands.back()) + "'"));
  }
  return arguments;
}

std::string shell_command(const std::vector<std::string>& words) {
  const char* const plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(plain) == word.npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

bool is_given(const std::string& flag) { return !info_of(flag).is_default; }

void require_flag(const std::string& flag, const std::string& command) {
  if (info_of(flag).current_value.empty())
    throw UsageError(str("`doppio ", command, "` needs --", flag, ": ", info_of(flag).description));
}

std::string command_help(const Command& command) {
  std::ostringstream text;
  text << "doppio " << command.name << ": " << command.summary << "\n\nusage: doppio "
       << command.name << " [flags]" << (command.operands.empty() ? "" : " " + command.operands)
       << "\n\nflags:\n";
  const std::vector<std::string> flags = flags_of(command);
  std::size_t width = 0;
  for (const std::string& flag : flags) width = std::max(width, flag.size());
  for (const std::string& flag : flags) {
    const CommandLineFlagInfo info = info_of(flag);
    text << "  --" << flag << std::string(width - flag.size() + 2, ' ') << info.description;
    if (!info.default_value.empty()) text << " (default " << info.default_value << ")";
    text << '\n';
  }
  if (has(flags, "set")) text << '\n' << kSetHelp;
  text << '\n' << kLogHelp;
  if (!command.notes.empty()) text << '\n' << command.notes << '\n';
  text << "\nexample:\n  " << command.example << '\n';
  return text.str();
}

}  // namespace doppio
