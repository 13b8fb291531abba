#include "tools/help.hpp"

#include <gflags/gflags.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace {

/// A term and its explanation.
using Row = std::pair<std::string, std::string>;
using Rows = std::vector<Row>;

/// Joins the words of `text` to lines of at most kHelpColumns. The first line starts at column
/// `indent`, and the others are indented to it.
std::string wrap(const std::string& text, std::size_t indent) {
  std::string lines;
  std::size_t column = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kHelpColumns) {
      lines += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

/// Wraps the lines of `text` that are too long.
std::string wrap_lines(const std::string& text) {
  std::string wrapped;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    wrapped += (line.size() > kHelpColumns ? wrap(line, 0) : line) + '\n';
  return wrapped;
}

std::size_t width_of(const Rows& rows) {
  std::size_t width = 0;
  for (const auto& [term, text] : rows) width = std::max(width, term.size());
  return width;
}

/// Formats `rows` as two columns, the first of `width` characters.
std::string columns(const Rows& rows, std::size_t width) {
  std::string text;
  for (const auto& [term, explanation] : rows)
    text += "  " + term + std::string(width - term.size() + 2, ' ') + wrap(explanation, width + 4) +
            '\n';
  return text;
}

std::string columns(const Rows& rows) { return columns(rows, width_of(rows)); }

gflags::CommandLineFlagInfo info_of(const CommandFlag& flag) {
  gflags::CommandLineFlagInfo info;
  ensure(gflags::GetCommandLineFlagInfo(flag.name.c_str(), &info), "undefined flag " + flag.name);
  return info;
}

/// Returns the flag with a placeholder of its value: "--gpu=ID", "--set FIELD=VALUE" or "-o FILE".
std::string label_of(const CommandFlag& flag) {
  const std::string type = info_of(flag).type;
  const bool letter = flag.name.size() == 1;
  std::string label = (letter ? "-" : "--") + flag.name;
  if (type == "bool") return label;
  std::string value = flag.value;
  if (value.empty()) value = type == "string" ? "VALUE" : type == "double" ? "X" : "N";
  return label + (letter || value.find('=') != value.npos ? ' ' : '=') + value;
}

std::string text_of(const CommandFlag& flag) {
  const gflags::CommandLineFlagInfo info = info_of(flag);
  const std::string text = flag.help.empty() ? info.description : flag.help;
  const std::string& value = info.default_value;
  const bool shows = info.type != "bool" && !value.empty() && value != "0" && value != "-1" &&
                     text.find("(default") == text.npos;
  return text + (shows ? " (default " + value + ")" : "");
}

/// A page of `doppio help` that is not about a command.
struct Topic {
  std::string name, summary, text;
};

const char* const kSetHelp =
    "--set changes a field of the solver or net prototxt for one run; the file stays as it is. It\n"
    "may be given several times. Strings need no quotes.\n"
    "\n"
    "  --set base_lr=0.02             a field of the solver\n"
    "  --set compute_type=BFLOAT16    a field that only nets have\n"
    "  --set data.batch_size=64       a field of a layer, in whichever message of the layer has "
    "it\n"
    "  --set conv1.convolution_param.weight_filler.std=0.02\n"
    "                                 a field by its full path\n"
    "  --set test:data.batch_size=10  only in nets of phase TEST; train: in those of phase TRAIN\n"
    "  --set stepvalue=100,200        a repeated field is replaced by all of the values\n";

std::string logging_help() {
  return "Logs go to stderr and results to stdout. --quiet logs only warnings and errors, and\n"
         "--verbose also details. glog's flags work with every command, as in Caffe:\n\n" +
         columns(
             {{"--log_dir=FOLDER", "also log to files in FOLDER, which is created if needed"},
              {"--logtostderr", "log to stderr only"},
              {"--alsologtostderr", "log to files as well as to stderr"},
              {"--stderrthreshold=N",
               "log to files, and to stderr only from severity N on: 0 information, 1 "
               "warnings, 2 errors"},
              {"--minloglevel=N", "log nothing below severity N"},
              {"--v=N", "log details of levels up to N; --verbose is --v=1"},
              {"--vmodule=FILE=N,...", "log details of levels up to N from this source file"}}) +
         "\nFiles are in the folder for temporary files unless --log_dir names another.\n"
         "Environment variables set the same: GLOG_log_dir=FOLDER, GLOG_v=1. Flags override "
         "them.\n";
}

std::string exit_codes_help() {
  return columns(
      {{str(int{kDone}), "success"},
       {str(int{kUserError}), "a mistake in the input, or a result that could not be written"},
       {str(int{kUsage}), "a command line that was not understood"},
       {str(int{kInternal}), "a bug in Doppio"},
       {str(int{kTerminated}),
        "`doppio train` was stopped by SIGTERM or SIGUSR1 and has written a snapshot; the same "
        "command with --resume continues"},
       {str(int{kRankLost}),
        "one of several processes that train together has ended or has been silent for "
        "--rank_timeout seconds"},
       {"128 + N",
        "stopped by signal N; 130: by Ctrl-C, but `train` writes a snapshot and exits with 0"}});
}

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all = {
      {"set", "change fields of a prototxt on the command line", kSetHelp},
      {"logging", "where logs go, and glog's flags", logging_help()},
      {"exit_codes", "what the exit code of a command means", exit_codes_help()}};
  return all;
}

/// Joins `words` by `separator`.
std::string joined(const std::vector<std::string>& words, char separator) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : std::string(1, separator)) + word;
  return text;
}

Rows rows_of(const std::vector<const Command*>& commands) {
  Rows rows;
  for (const Command* c : commands) rows.emplace_back(c->name, c->summary);
  return rows;
}

}  // namespace

std::string usage() {
  std::string text = "usage: doppio COMMAND [flags]\n";
  std::size_t width = 0;
  for (const Command& c : commands()) width = std::max(width, c.name.size());
  Rows help;
  for (const Topic& t : topics()) help.emplace_back("help " + t.name, t.summary);
  width = std::max(width, width_of(help));
  for (const CommandGroup& group : command_groups()) {
    Rows rows;
    for (const Command& c : group.commands) rows.emplace_back(c.name, c.summary);
    text += '\n' + group.title + ":\n" + columns(rows, width);
  }
  return text + "\nhelp topics:\n" + columns(help, width) +
         "\n`doppio COMMAND --help` or `doppio help COMMAND` shows a command's flags and an "
         "example.\n";
}

std::string command_help(const Command& command) {
  Rows rows;
  for (const CommandFlag& flag : flags_of(command))
    rows.emplace_back(label_of(flag), text_of(flag));
  std::string text = "doppio " + command.name + ": " + command.summary + "\n\nusage: doppio " +
                     command.name + " [flags]" +
                     (command.operands.empty() ? "" : " " + command.operands) + "\n\nflags:\n" +
                     columns(rows) + "  glog's flags, such as --log_dir: `doppio help logging`\n";
  if (!command.notes.empty()) text += '\n' + wrap_lines(command.notes);
  return text + "\nexample:\n  " + command.example + '\n';
}

std::string help_on(const std::vector<std::string>& words) {
  if (words.empty() || words == std::vector<std::string>{"help"}) return usage();
  for (const Topic& t : topics())
    if (t.name == joined(words, '_'))
      return "doppio help " + t.name + ": " + t.summary + "\n\n" + t.text;
  const std::optional<CommandMatch> found = find_command(words);
  if (found && found->name_words == static_cast<int>(words.size()))
    return command_help(*found->command);
  const std::vector<const Command*> several = commands_starting_with(words[0]);
  if (!several.empty() && words.size() == 1)
    return "usage: doppio " + words[0] + " ... [flags]\n\ncommands:\n" + columns(rows_of(several)) +
           "\n`doppio help " + several[0]->name + "` shows its flags and an example.\n";
  std::vector<std::string> names = help_topics();
  for (const Command& c : commands()) {
    const std::string first = c.name.substr(0, c.name.find(' '));
    if (std::find(names.begin(), names.end(), first) == names.end()) names.push_back(first);
    if (first != c.name) names.push_back(c.name);
  }
  const std::string name = joined(words, ' ');
  throw UsageError(str("no help on '", printable(name), "'", did_you_mean(name, names),
                       "; `doppio help` lists the commands and topics"));
}

std::vector<std::string> help_topics() {
  std::vector<std::string> names;
  for (const Topic& t : topics()) names.push_back(t.name);
  return names;
}

}  // namespace doppio
