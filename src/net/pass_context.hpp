#pragma once
#include <string>

#include "core/item_error.hpp"
#include "core/with_context.hpp"
#include "doppio/net.hpp"
#include "net/memory_advice.hpp"

namespace doppio {

/// Returns the source of item `item` of the batch in each data layer, one line per layer.
inline std::string origins(const Net& net, Index item) {
  std::string text;
  for (const NetLayer& l : net.layers())
    if (const std::string name = l.layer->item_name(item); !name.empty())
      text += str("\n    item ", item, " of '", l.name, "': ", name);
  return text;
}

/// For with_context(): adds the source of the item to an ItemError, and advice on batch sizes to an
/// OutOfMemory error.
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
