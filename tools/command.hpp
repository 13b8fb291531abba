#pragma once
#include <optional>
#include <string>
#include <vector>

#include "doppio/error.hpp"

namespace doppio {

/// The arguments of a command. Flags with a value are available as FLAGS_name.
struct Arguments {
  std::vector<std::string> operands;  ///< words after the command's name
  std::vector<std::string> sets;      ///< values of --set, in order
  /// Program, command, flags as --name=value and operands, with which the run can be repeated.
  std::vector<std::string> command_line;
};

/// A flag of a command, as shown in the command's help.
struct CommandFlag {
  std::string name;   ///< the gflags name: "iterations"
  std::string value;  ///< placeholder of the value: "FILE"; empty: N or X by the flag's type
  std::string help;   ///< what the flag does in this command; empty: the flag's gflags description

  /// `label` is "name" or "name=PLACEHOLDER". Implicit, so that a list of flags can be a list of
  /// names. A default other than "", 0, -1, true or false is appended to `text`, unless `text` has
  /// "(default".
  CommandFlag(const std::string& label, std::string text);
  CommandFlag(const char* label) : CommandFlag(label, "") {}
};

/// A command of the tool. Each is defined in the file of its name.
struct Command {
  std::string name;                ///< one word or two: "train", "convert idx"
  std::string summary;             ///< one line in the list of commands
  std::string operands;            ///< as shown in the usage, "DB [OUT]"; empty: none
  std::vector<CommandFlag> flags;  ///< flags besides the common ones, the most important first
  std::string example;
  int (*run)(const Arguments&);  ///< returns an exit code
  int min_operands = 0, max_operands = 0;
  std::vector<std::string> aliases = {};  ///< Caffe's names of the command
  std::string notes = {};                 ///< additional text for --help
};

/// Exit codes of the tool. After a signal it is 128 + the signal's number.
enum ExitCode {
  kDone = 0,
  kUserError = 1,
  kUsage = 2,
  kInternal = 3,
  kTerminated = 75,  ///< stopped by SIGTERM or SIGUSR1 after a snapshot: restart with --resume
  kRankLost = 76,    ///< a rank of several processes has ended or does not answer
};

/// Prints "FILE:LINE:COLUMN: error: ..." to stderr, or "doppio: error: ..." without a location,
/// after `prefix`.
void print_error(const Error& error, const std::string& prefix = {});

/// In a catch block: prints the exception to stderr after `prefix`, and returns the exit code for
/// it. Does not return if a signal is to end the process.
int report_exception(const std::string& prefix = {});

Command classify_command();
Command convert_annotations_command();
Command convert_idx_command();
Command convert_imageset_command();
Command deploy_command();
Command devices_command();
Command extract_command();
Command layers_command();
Command mean_command();
Command models_command();
Command new_command();
Command plan_command();
Command test_command();
Command time_command();
Command train_command();
Command upgrade_command();

/// Commands that belong together in the list of commands.
struct CommandGroup {
  std::string title;
  std::vector<Command> commands;
};

/// Returns all commands by group, in the order of the usage.
const std::vector<CommandGroup>& command_groups();

/// Returns all commands, in the order of the usage.
const std::vector<Command>& commands();

/// A command and how many words of a command line its name takes.
struct CommandMatch {
  const Command* command;
  int name_words;
};

/// Returns the command whose name or alias is at the start of `words`, if any.
std::optional<CommandMatch> find_command(const std::vector<std::string>& words);

/// Returns the commands of two words that start with `word`, such as "convert".
std::vector<const Command*> commands_starting_with(const std::string& word);

}  // namespace doppio
