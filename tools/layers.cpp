// `doppio layers`: lists all layer types of this build.
#include <cstring>
#include <iostream>

#include "doppio/extend/registry.hpp"
#include "tools/command.hpp"
#include "tools/table.hpp"

namespace doppio {

namespace {

/// Returns the location relative to the repository: "src/layers/activation/relu.cpp:35".
std::string place(const std::source_location& where) {
  const std::string file = where.file_name();
  const std::size_t at = file.rfind("/src/");
  return str(at == file.npos ? file : file.substr(at + 1), ":", where.line());
}

int run(const Arguments&) {
  const LayerRegistry& registry = LayerRegistry::instance();
  Table table({"type", "devices", "source"});
  for (const std::string& type : registry.types()) {
    const LayerRegistry::Entry* cpu = registry.find_or_null(type, Device::cpu);
    const LayerRegistry::Entry* cuda = registry.find_or_null(type, Device::cuda);
    if (!built_with_cuda()) cuda = nullptr;
    table.add({type,
               cpu && cuda ? "cpu, cuda"
               : cpu       ? "cpu"
                           : "cuda",
               place((cpu ? cpu : cuda)->where)});
  }
  std::cout << table.text();
  return kDone;
}

}  // namespace

Command layers_command() {
  return {.name = "layers",
          .summary = "list the layer types, their devices and where they are defined",
          .operands = "",
          .flags = {},
          .example = "doppio layers",
          .run = run};
}

}  // namespace doppio
