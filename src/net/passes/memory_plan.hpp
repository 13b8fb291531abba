#pragma once
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Bytes that one layer of a net needs.
struct LayerMemory {
  std::string name, type, shape;  // shape of the first top
  Index activations = 0;          // data of the tops that are not views of its bottoms
  Index gradients = 0;            // gradients of its bottoms that backward computes
  Index parameters = 0;           // data of the parameters that it owns
  Index parameter_gradients = 0;
};

/// Bytes that a net will need, before any of it is allocated.
struct MemoryPlan {
  std::vector<LayerMemory> layers;
  LayerMemory total;    // without any sharing
  Index shared = 0;     // activations and gradients, with memory reused
  Index lasting = 0;    // tensors that are never released: data, outputs
  Index held = 0;       // the layers' own buffers
  Index workspace = 0;  // scratch memory that all layers share
};

/// Computes the plan from shapes only. On a context with dry_run nothing is allocated.
MemoryPlan plan_memory(const Net& net, Passes passes);

}  // namespace doppio
