#pragma once
#include <string>

#include "core/item_error.hpp"
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

/// Runs `action`; an Error about an item of the batch comes out with where that is from, one about
/// memory with what would fit.
template <class Action>
void explained(const Net& net, Action action) {
  try {
    action();
  } catch (const ItemError& e) {
    throw Error(e.message() + origins(net, e.item()));
  } catch (const OutOfMemory& e) {
    throw Error(e.message() + memory_advice(net, e.available()));
  }
}

}  // namespace doppio
