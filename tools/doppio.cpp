// The command-line tool. Dispatches to commands and turns errors into messages and exit codes.
#include <omp.h>

#include <algorithm>
#include <iostream>

#include "core/printable.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/logging.hpp"
#include "tools/standard_streams.hpp"

namespace doppio {

namespace {

std::string usage() {
  std::string text = "usage: doppio COMMAND [flags]\n\ncommands:\n";
  std::size_t width = 0;
  for (const Command& c : commands()) width = std::max(width, c.name.size());
  for (const Command& c : commands())
    text += "  " + c.name + std::string(width - c.name.size() + 2, ' ') + c.summary + '\n';
  return text + "\n`doppio COMMAND --help` shows a command's flags and an example.\n";
}

/// The command whose name is at the start of `words`.
struct Match {
  const Command* command;
  int name_words;
};

Match find_command(const std::vector<std::string>& words) {
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : "";
  std::vector<std::string> names, continuations;
  for (const Command& c : commands()) {
    if (c.name == two) return {&c, 2};
    const bool alias = std::find(c.aliases.begin(), c.aliases.end(), words[0]) != c.aliases.end();
    if (c.name == words[0] || alias) return {&c, 1};
    names.push_back(c.name);
    if (c.name.starts_with(words[0] + " ")) continuations.push_back(c.name);
  }
  if (!continuations.empty()) {
    std::string list;
    for (const std::string& name : continuations) list += "\n  doppio " + name;
    throw UsageError("`doppio " + words[0] + "` needs one more word:" + list);
  }
  std::string hint = did_you_mean(two, names);
  if (hint.empty()) hint = did_you_mean(words[0], names);
  throw UsageError(str("unknown command '", printable(words[0]), "'", hint,
                       "; `doppio --help` lists the commands"));
}

int run(const std::vector<std::string>& arguments, const char* program) {
  const CommandLine line = split_command_line(arguments);
  if (line.version) {
    std::cout << "doppio " << DOPPIO_VERSION << (built_with_cuda() ? " (CPU, CUDA)" : " (CPU)")
              << '\n';
    return kDone;
  }
  if (line.words.empty() || line.words == std::vector<std::string>{"help"}) {
    const bool asked = line.help || !line.words.empty();
    (asked ? std::cout : std::cerr) << usage();
    return asked ? kDone : kUsage;
  }
  const Match found = find_command(line.words);
  if (line.help) {
    std::cout << command_help(*found.command);
    return kDone;
  }
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
