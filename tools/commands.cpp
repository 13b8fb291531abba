#include "tools/command.hpp"

namespace doppio {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      train_command(), test_command(),    classify_command(),         extract_command(),
      time_command(),  plan_command(),    convert_imageset_command(), convert_idx_command(),
      mean_command(),  upgrade_command(), layers_command(),           devices_command()};
  return all;
}

}  // namespace doppio
