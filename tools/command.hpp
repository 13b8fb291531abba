#pragma once
#include <string>
#include <vector>

#include "doppio/error.hpp"

namespace doppio {

/// What a command is given, beside the flags with a value, which are read as FLAGS_name.
struct Arguments {
  std::vector<std::string> operands;  ///< the words after the command's name
  std::vector<std::string> sets;      ///< the values of --set, in order
  /// Program, command, flags as --name=value and operands, from which the run can be repeated.
  std::vector<std::string> command_line;
};

/// One command of the tool; each has a file of its own name.
struct Command {
  std::string name;                ///< one word or two: "train", "convert idx"
  std::string summary;             ///< one line for the list of commands
  std::string operands;            ///< as the usage shows them, "DB [OUT]"; empty: none
  std::vector<std::string> flags;  ///< those it takes beside kCommonFlags
  std::string example;
  int (*run)(const Arguments&);  ///< returns an exit code
  int min_operands = 0, max_operands = 0;
  std::vector<std::string> aliases = {};  ///< names that Caffe gives it
  std::string notes = {};                 ///< more for its --help
};

/// Exit codes of the tool; 128 + its number after a signal.
enum ExitCode {
  kDone = 0,
  kUserError = 1,
  kUsage = 2,
  kInternal = 3,
  kTerminated = 75,  ///< stopped by SIGTERM after a snapshot: start again with --snapshot
};

/// Prints "FILE:LINE:COLUMN: error: ..." or, if the place is unknown, "doppio: error: ..." to
/// stderr.
void print_error(const Error& error);

Command classify_command();
Command convert_idx_command();
Command convert_imageset_command();
Command devices_command();
Command extract_command();
Command layers_command();
Command mean_command();
Command plan_command();
Command test_command();
Command time_command();
Command train_command();
Command upgrade_command();

/// All commands, in the order in which the usage lists them.
const std::vector<Command>& commands();

}  // namespace doppio
