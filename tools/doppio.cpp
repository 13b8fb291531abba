// The command-line tool: finds the command, and turns errors into messages and exit codes.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <omp.h>

#include <algorithm>
#include <iostream>
#include <new>

#if __has_include(<google/protobuf/stubs/logging.h>)
#include <google/protobuf/stubs/logging.h>
#define DOPPIO_PROTOBUF_LOGS  // by itself; from version 22 on it does not
#endif

#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"

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

/// A command whose name `words` begin with.
struct Found {
  const Command* command;
  int name_words;
};

Found find_command(const std::vector<std::string>& words) {
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
  throw UsageError(
      str("unknown command '", words[0], "'", hint, "; `doppio --help` lists the commands"));
}

/// Log lines go to stderr in Caffe's form, which published parsers read, and nowhere else.
void start_logging(const char* program) {
  google::InitGoogleLogging(program);
  FLAGS_logtostderr = true;
  // By name, because older versions lack the flag (and the year).
  gflags::SetCommandLineOption("log_year_in_prefix", "false");
  if (FLAGS_quiet) FLAGS_minloglevel = google::GLOG_WARNING;
  if (FLAGS_verbose) FLAGS_v = 1;
#ifdef DOPPIO_PROTOBUF_LOGS
  google::protobuf::SetLogHandler(nullptr);  // its parse errors come back as ours
#endif
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
  const Found found = find_command(line.words);
  if (line.help) {
    std::cout << command_help(*found.command);
    return kDone;
  }
  const Arguments given = apply_command_line(line, *found.command, found.name_words);
  if (FLAGS_threads < 0) throw UsageError("--threads must not be negative");
  if (FLAGS_threads > 0) omp_set_num_threads(FLAGS_threads);
  start_logging(program);
  return found.command->run(given);
}

void print_error(const Error& e) {
  std::cerr << (e.where().file.empty() ? "doppio: error: " : "") << e.what() << '\n';
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  using namespace doppio;
  try {
    return run({argv + 1, argv + argc}, argv[0]);
  } catch (const UsageError& e) {
    print_error(e);
    return kUsage;
  } catch (const Error& e) {
    print_error(e);
    return kUserError;
  } catch (const std::bad_alloc&) {
    print_error(Error("out of memory; lower batch_size (`doppio plan` shows what a net needs)"));
    return kUserError;
  } catch (const std::exception& e) {
    std::cerr << "doppio: internal error: " << e.what() << '\n';
    return kInternal;
  }
}
