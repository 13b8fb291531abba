#pragma once
#include <set>
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// A tensor that need not outlive its last use. Views of one memory are one entry.
struct SharedTensor {
  Tensor* tensor;    // of the first blob that shows this memory
  std::string name;  // for messages: "blob 'x'", "the gradient of blob 'x'"
};

/// Which tensors of a net take turns in memory, and from when to when each is needed. A step is the
/// pass of one layer: layer i's forward pass is step i, its backward pass step 2 L - 1 - i of L
/// layers.
struct Liveness {
  struct Step {
    std::vector<std::size_t> begins, ends;  // indices into `shared`
  };
  Passes passes = Passes::forward_and_backward;
  std::vector<SharedTensor> shared;
  std::set<const Tensor*> shared_tensors;  // those of `shared`
  std::vector<SharedTensor> lasting;       // the others, without parameters
  std::vector<Step> steps;                 // twice the number of layers
};

/// Finds the steps that need each tensor, from what the layers' traits say of backward passes.
/// What the data layers hand out, parameters, the net's outputs and the blobs named in `keep` stay
/// for good. Needs the tensors' views, so the net must have its shapes.
Liveness find_lifetimes(const Net& net, Passes passes, const std::vector<std::string>& keep);

/// Bytes that the tensors need together if each has memory in its steps only, as an Arena places
/// them. Tops that layers write past need none.
Index arena_bytes(const Net& net, const Liveness& live);

}  // namespace doppio
