#pragma once
#include <string>

#include "core/item_error.hpp"
#include "core/with_context.hpp"
#include "doppio/net.hpp"
#include "net/memory_advice.hpp"

namespace doppio {

/// Where the data layers have item `item` of their batches from, a line each.
inline std::string origins(const Net& net, Index item) {
  std::string text;
  for (const NetLayer& l : net.layers())
    if (const std::string name = l.layer->item_name(item); !name.empty())
      text += str("\n    item ", item, " of '", l.name, "': ", name);
  return text;
}

/// For with_context(): adds to an Error about an item of the batch where that is from, and to one
/// about memory what would fit.
inline auto pass_context(const Net& net) {
  return [&net](const Error& e) -> std::optional<Error> {
    if (const auto* item = dynamic_cast<const ItemError*>(&e))
      return Error(e.message() + origins(net, item->item()));
    if (const auto* memory = dynamic_cast<const OutOfMemory*>(&e))
      return Error(e.message() + memory_advice(net, memory->available()));
    return std::nullopt;
  };
}

}  // namespace doppio
