#include <cstdio>
#include <iostream>
#include <sstream>

#include "core/printable.hpp"
#include "tools/command.hpp"

namespace doppio {

void print_error(const Error& error) {
  std::fflush(stdout);  // keeps stdout and stderr in order
  std::cerr << (error.where().file.empty() ? "doppio: error: " : "");
  std::istringstream lines(error.what());
  for (std::string line; std::getline(lines, line);)  // names may contain any bytes
    std::cerr << printable(line, line.max_size()) << '\n';
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      train_command(), test_command(),    classify_command(),         extract_command(),
      time_command(),  plan_command(),    convert_imageset_command(), convert_idx_command(),
      mean_command(),  upgrade_command(), layers_command(),           devices_command()};
  return all;
}

}  // namespace doppio
