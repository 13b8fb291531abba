#include "tools/command.hpp"

namespace doppio {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {test_command(), classify_command(), time_command(),
                                           plan_command(), layers_command(),   devices_command()};
  return all;
}

}  // namespace doppio
