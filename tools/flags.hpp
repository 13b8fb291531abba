#pragma once
#include <gflags/gflags_declare.h>

#include <string>
#include <utility>
#include <vector>

#include "tools/command.hpp"

// Flags that several commands take. Others are defined where they are used.
DECLARE_string(gpu);
DECLARE_string(model);
DECLARE_string(weights);
DECLARE_string(solver);
DECLARE_int32(iterations);
DECLARE_int32(views);
DECLARE_string(phase);
DECLARE_int32(level);
DECLARE_string(stage);
DECLARE_string(images);
DECLARE_string(root);
DECLARE_int64(seed);
DECLARE_string(labels);
DECLARE_string(backend);
DECLARE_bool(overwrite);
DECLARE_bool(resume);
DECLARE_bool(gray);
DECLARE_int32(threads);
DECLARE_bool(no_fusion);
DECLARE_bool(reference);
DECLARE_bool(quiet);
DECLARE_bool(verbose);

namespace doppio {

/// A parsed command line.
struct CommandLine {
  std::vector<std::string> words;                           ///< words that are not flags
  std::vector<std::pair<std::string, std::string>> values;  ///< name and value of each flag
  bool help = false, version = false;
};

/// Parses `arguments` (without the program's name). Flags start with one or two dashes and may
/// appear anywhere: --name=value, --name value, and --name or --noname for booleans. Throws:
/// UsageError for an unknown flag or a missing value.
CommandLine split_command_line(const std::vector<std::string>& arguments);

/// Stores the flags of `line` in the FLAGS_ variables and returns the remaining arguments.
/// `line.words` starts with the command's name, which has `name_words` words. Throws: UsageError
/// for flags and operands that `command` does not take, and for values of the wrong type.
Arguments apply_command_line(const CommandLine& line, const Command& command, int name_words);

/// Returns whether --`flag` is on the command line.
bool is_given(const std::string& flag);

/// Throws: UsageError with the flag's text in the help of `command` if --`flag` is empty.
void require_flag(const std::string& flag, const std::string& command);

/// Returns the flags of `command`, followed by those of all commands: threads, quiet and verbose.
std::vector<CommandFlag> flags_of(const Command& command);

/// Joins `words` to a command line, with quotes where a shell needs them.
std::string shell_command(const std::vector<std::string>& words);

}  // namespace doppio
