#pragma once
#include <set>
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// A tensor whose memory may be reused after its last use. Views of the same memory are one entry.
struct SharedTensor {
  Tensor* tensor;    // of the first blob that uses this memory
  std::string name;  // for messages: "blob 'x'", "the gradient of blob 'x'"
};

/// Which tensors of a net share memory, and the steps between which each is live. A step is the
/// pass of one layer: of L layers, layer i runs forward in step i and backward in step 2 L - 1 - i.
struct Liveness {
  struct Step {
    std::vector<std::size_t> begins, ends;  // indices into `shared`
  };
  Passes passes = Passes::forward_and_backward;
  std::vector<SharedTensor> shared;
  std::set<const Tensor*> shared_tensors;  // the tensors of `shared`
  std::vector<SharedTensor> lasting;       // all others except parameters
  std::vector<Step> steps;                 // twice the number of layers
};

/// Finds the steps that need each tensor, from the layers' traits about backward passes. Tops of
/// data layers, parameters, outputs of the net and blobs named in `keep` are never released. Views
/// must be set up, so the net must be reshaped.
Liveness find_lifetimes(const Net& net, Passes passes, const std::vector<std::string>& keep);

/// Returns the bytes of an Arena that holds each tensor during its steps only. Tops that fused
/// layers skip take no memory.
Index arena_bytes(const Net& net, const Liveness& live);

}  // namespace doppio
