#pragma once
#include <gflags/gflags_declare.h>

#include <string>
#include <utility>
#include <vector>

#include "tools/command.hpp"

// The flags that more than one command takes; the others are defined where they are used.
DECLARE_string(gpu);
DECLARE_string(model);
DECLARE_string(weights);
DECLARE_string(solver);
DECLARE_int32(iterations);
DECLARE_int32(views);
DECLARE_string(phase);
DECLARE_int32(level);
DECLARE_string(stage);
DECLARE_string(labels);
DECLARE_string(backend);
DECLARE_bool(overwrite);
DECLARE_bool(gray);
DECLARE_int32(threads);
DECLARE_bool(no_fusion);
DECLARE_bool(reference);
DECLARE_bool(quiet);
DECLARE_bool(verbose);

namespace doppio {

/// A command line taken apart.
struct CommandLine {
  std::vector<std::string> words;                           ///< what is not a flag
  std::vector<std::pair<std::string, std::string>> values;  ///< name and value of every flag
  bool help = false, version = false;
};

/// Takes `arguments` (without the program's name) apart. Flags start with one dash or two and may
/// stand anywhere: --name=value, --name value, and --name or --noname for those that are true or
/// false. Throws: UsageError for a flag that no command knows or that lacks its value.
CommandLine split_command_line(const std::vector<std::string>& arguments);

/// Stores the flags of `line` in the FLAGS_ variables and returns the rest. `line.words` starts
/// with the command's name, which has `name_words` words.
/// Throws: UsageError for what `command` does not take and for values that are none of the type.
Arguments apply_command_line(const CommandLine& line, const Command& command, int name_words);

/// Returns whether the command line gives --`flag`.
bool is_given(const std::string& flag);

/// Throws: UsageError unless --`flag` has a value.
void require_flag(const std::string& flag, const std::string& command);

/// The text of `doppio COMMAND --help`.
std::string command_help(const Command& command);

/// The command line of `words`, quoted where a shell needs it.
std::string shell_command(const std::vector<std::string>& words);

}  // namespace doppio
