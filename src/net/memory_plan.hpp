#pragma once
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Bytes that one layer of a net needs.
struct LayerMemory {
  std::string name, type, shape;  // shape of the first top
  Index activations = 0;          // data of the tops that it does not share with its bottoms
  Index gradients = 0;            // gradients of its bottoms that backward computes
  Index parameters = 0;           // data of the parameters that it owns
  Index parameter_gradients = 0;
};

/// What a net will need, before any of it is allocated. Engines' private buffers are not in it.
struct MemoryPlan {
  std::vector<LayerMemory> layers;
  LayerMemory total;
};

/// Works on shapes alone: on a context with dry_run nothing is allocated.
MemoryPlan plan_memory(const Net& net);

}  // namespace doppio
