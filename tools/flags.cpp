#include "tools/flags.hpp"

#include <gflags/gflags.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/logging.hpp"

// The help of each command has texts of its own, in its Command.
DEFINE_string(gpu, "", "numbers of GPUs, separated by commas, or `all`");
DEFINE_string(model, "", "net prototxt");
DEFINE_string(weights, "", "weight files (.caffemodel or .caffemodel.h5), separated by commas");
DEFINE_string(solver, "", "solver prototxt");
DEFINE_int32(iterations, 50, "number of batches");
DEFINE_string(phase, "", "phase of the net: TRAIN or TEST");
DEFINE_int32(level, 0, "level of the net, for its include and exclude rules");
DEFINE_string(stage, "", "stages of the net, separated by commas");
DEFINE_int32(views, 0, "views of each image");
DEFINE_string(images, "", "images");
DEFINE_string(root, "", "prefix of the paths in a list");
DEFINE_int64(seed, -1, "seed of random numbers");
DEFINE_string(labels, "", "file of labels");
DEFINE_string(backend, "lmdb", "format of the database: lmdb or leveldb");
DEFINE_bool(overwrite, false, "replace an existing database when the new one is complete");
DEFINE_bool(resume, false, "continue an interrupted run");
DEFINE_bool(gray, false, "convert images to gray");
DEFINE_int32(threads, 0, "threads to compute with");
DEFINE_bool(no_fusion, false, "run every layer separately");
DEFINE_bool(reference, false, "use the slow reference implementations");
DEFINE_bool(quiet, false, "log only warnings and errors");
DEFINE_bool(verbose, false, "log details");
DEFINE_string(set, "", "change a field of the prototxt");

namespace doppio {

namespace {

using gflags::CommandLineFlagInfo;

const std::vector<CommandFlag> kCommonFlags = {
    {"threads", "threads to compute with (default: one per core)"},
    {"quiet", "log only warnings and errors"},
    {"verbose", "log details, such as the implementation chosen for each layer"}};

std::vector<std::string> flag_names(const Command& command) {
  std::vector<std::string> names;
  for (const CommandFlag& flag : flags_of(command)) names.push_back(flag.name);
  return names;
}

std::vector<std::string> all_flags() {
  std::set<std::string> names;
  for (const Command& command : commands())
    for (const std::string& name : flag_names(command)) names.insert(name);
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
  const std::vector<std::string> listed = flag_names(command);
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
  const CommandLineFlagInfo info = info_of(flag);
  if (!info.current_value.empty()) return;
  std::string meaning = info.description;
  for (const Command& c : commands())
    for (const CommandFlag& f : c.flags)
      if (c.name == command && f.name == flag && !f.help.empty()) meaning = f.help;
  meaning = meaning.substr(0, meaning.find(';'));
  throw UsageError(str("`doppio ", command, "` needs --", flag, ": ", meaning));
}

std::vector<CommandFlag> flags_of(const Command& command) {
  std::vector<CommandFlag> flags = command.flags;
  flags.insert(flags.end(), kCommonFlags.begin(), kCommonFlags.end());
  return flags;
}

}  // namespace doppio
