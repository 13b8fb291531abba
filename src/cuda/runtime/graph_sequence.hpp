#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

#include "core/accelerator.hpp"
#include "cuda/check.hpp"

namespace doppio::cuda {

/// A sequence of CUDA graphs with events recorded between them. An event inside a graph does not
/// suffice: waiting for it does not wait for the graph's own work.
class GraphSequence final : public DeviceGraph {
 public:
  GraphSequence() = default;
  GraphSequence(const GraphSequence&) = delete;
  GraphSequence& operator=(const GraphSequence&) = delete;
  ~GraphSequence() override {
    for (const Part& part : parts_)
      if (part.graph) cudaGraphExecDestroy(part.graph);
  }

  /// Appends a graph and an event, which may be null. Uploads the graph, so that a launch cannot
  /// run out of memory.
  void add(cudaGraph_t graph, cudaEvent_t event, cudaStream_t stream) {
    std::size_t nodes = 0;
    check(cudaGraphGetNodes(graph, nullptr, &nodes), "counting a graph's nodes");
    Part& part = parts_.emplace_back(Part{nullptr, event});
    if (nodes == 0) return;
    check(cudaGraphInstantiate(&part.graph, graph, 0), "making a graph");
    check(cudaGraphUpload(part.graph, stream), "making a graph");
  }

  void launch(cudaStream_t stream) const {
    for (const Part& part : parts_) {
      if (part.graph) check(cudaGraphLaunch(part.graph, stream), "starting a graph");
      if (part.event) check(cudaEventRecord(part.event, stream), "recording an event");
    }
  }

 private:
  struct Part {
    cudaGraphExec_t graph;
    cudaEvent_t event;
  };
  std::vector<Part> parts_;
};

}  // namespace doppio::cuda
