#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <sstream>
#include <system_error>
#include <utility>

#include "core/printable.hpp"
#include "tools/command.hpp"
#include "tools/interrupt.hpp"

namespace doppio {

void print_error(const Error& error, const std::string& prefix) {
  std::fflush(stdout);  // keeps stdout and stderr in order
  std::cerr << prefix << (error.where().file.empty() ? "doppio: error: " : "");
  std::istringstream lines(error.what());
  for (std::string line; std::getline(lines, line);)  // names may contain any bytes
    std::cerr << printable(line, line.max_size()) << '\n';
}

int report_exception(const std::string& prefix) {
  try {
    throw;
  } catch (const Interrupted& by) {
    std::cerr << prefix << "doppio: interrupted\n";
    end_by(by.signal);
  } catch (const UsageError& e) {
    print_error(e, prefix);
    return kUsage;
  } catch (const Error& e) {
    print_error(e, prefix);
  } catch (const std::bad_alloc&) {
    print_error(Error("out of memory; lower batch_size (`doppio plan` shows what a net needs)"),
                prefix);
  } catch (const std::length_error& e) {
    print_error(Error(str("a size is too large for memory (", e.what(), ")")), prefix);
  } catch (const std::filesystem::filesystem_error& e) {
    print_error(
        Error(str("cannot use '", printable(e.path1().string()), "': ", e.code().message())),
        prefix);
  } catch (const std::system_error& e) {
    print_error(Error(str("the system reports: ", e.what())), prefix);
  } catch (const std::exception& e) {
    std::cerr << prefix << "doppio: internal error: " << e.what() << '\n';
    return kInternal;
  }
  return kUserError;
}

CommandFlag::CommandFlag(const std::string& label, std::string text)
    : name(label.substr(0, label.find('='))),
      value(label.size() == name.size() ? "" : label.substr(name.size() + 1)),
      help(std::move(text)) {}

const std::vector<CommandGroup>& command_groups() {
  static const std::vector<CommandGroup> groups = {
      {"data",
       {new_command(), convert_imageset_command(), convert_annotations_command(),
        convert_idx_command(), mean_command()}},
      {"training", {train_command(), test_command()}},
      {"using a trained net", {classify_command(), extract_command(), deploy_command()}},
      {"looking into nets and the machine",
       {models_command(), plan_command(), time_command(), layers_command(), upgrade_command(),
        devices_command()}}};
  return groups;
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> list;
    for (const CommandGroup& group : command_groups())
      list.insert(list.end(), group.commands.begin(), group.commands.end());
    return list;
  }();
  return all;
}

std::optional<CommandMatch> find_command(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : "";
  for (const Command& c : commands()) {
    if (c.name == two) return CommandMatch{&c, 2};
    const bool alias = std::find(c.aliases.begin(), c.aliases.end(), words[0]) != c.aliases.end();
    if (c.name == words[0] || alias) return CommandMatch{&c, 1};
  }
  return {};
}

std::vector<const Command*> commands_starting_with(const std::string& word) {
  std::vector<const Command*> found;
  for (const Command& c : commands())
    if (c.name.starts_with(word + " ")) found.push_back(&c);
  return found;
}

}  // namespace doppio
