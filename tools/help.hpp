#pragma once
#include <string>
#include <vector>

#include "tools/command.hpp"

namespace doppio {

/// The columns to which help is wrapped.
constexpr std::size_t kHelpColumns = 100;

/// Returns the text of `doppio --help`: the commands by group, and the help topics.
std::string usage();

/// Returns the text of `doppio COMMAND --help`.
std::string command_help(const Command& command);

/// Returns the text of `doppio help WORDS`. `words` are the name of a command or a topic, or the
/// first word of several commands. Throws: UsageError for other words.
std::string help_on(const std::vector<std::string>& words);

/// Returns the names of the help topics: "set", "logging" and "exit_codes".
std::vector<std::string> help_topics();

}  // namespace doppio
