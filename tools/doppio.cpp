// The command-line tool. Dispatches to commands and turns errors into messages and exit codes.
#include <omp.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "core/printable.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/help.hpp"
#include "tools/logging.hpp"
#include "tools/standard_streams.hpp"

namespace doppio {

namespace {

/// Returns the command at the start of `words`. Throws: UsageError if there is none.
CommandMatch require_command(const std::vector<std::string>& words) {
  if (const std::optional<CommandMatch> found = find_command(words)) return *found;
  std::string list;
  for (const Command* c : commands_starting_with(words[0])) list += "\n  doppio " + c->name;
  if (!list.empty()) throw UsageError("`doppio " + words[0] + "` needs one more word:" + list);
  std::vector<std::string> names;
  for (const Command& c : commands()) names.push_back(c.name);
  std::string hint = words.size() > 1 ? did_you_mean(words[0] + " " + words[1], names) : "";
  if (hint.empty()) hint = did_you_mean(words[0], names);
  throw UsageError(str("unknown command '", printable(words[0]), "'", hint,
                       "; `doppio --help` lists the commands"));
}

/// Returns the help that `line` asks for: `doppio help WORDS` or `doppio WORDS --help`.
std::string requested_help(const CommandLine& line) {
  std::vector<std::string> words = line.words;
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    return help_on(words);
  }
  const std::optional<CommandMatch> found = find_command(words);
  return found ? command_help(*found->command) : help_on(words);
}

int run(const std::vector<std::string>& arguments, const char* program) {
  const CommandLine line = split_command_line(arguments);
  if (line.version) {
    std::cout << "doppio " << DOPPIO_VERSION << (built_with_cuda() ? " (CPU, CUDA)" : " (CPU)")
              << '\n';
    return kDone;
  }
  if (line.help || (!line.words.empty() && line.words[0] == "help")) {
    std::cout << requested_help(line);
    return kDone;
  }
  if (line.words.empty()) {
    std::cerr << usage();
    return kUsage;
  }
  const CommandMatch found = require_command(line.words);
  Arguments given = apply_command_line(line, *found.command, found.name_words);
  const int most_threads = std::max(1024, omp_get_num_procs());
  if (FLAGS_threads < 0) throw UsageError("--threads must not be negative");
  if (FLAGS_threads > most_threads)
    throw UsageError(str("--threads=", FLAGS_threads, ": at most ", most_threads, " are possible"));
  if (FLAGS_threads > 0) omp_set_num_threads(FLAGS_threads);
  start_logging(program);
  given.command_line.insert(given.command_line.begin(), program);
  return found.command->run(given);
}

/// Runs a command and prints its error, if any. Returns the exit code.
int run_and_report(const std::vector<std::string>& arguments, const char* program) {
  try {
    const int code = run(arguments, program);
    return finish_output() || code != kDone ? code : kUserError;
  } catch (...) {
    return report_exception();
  }
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  doppio::open_standard_streams();
  return doppio::run_and_report({argv + 1, argv + argc}, argv[0]);
}
