#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

#include "core/accelerator.hpp"
#include "cuda/check.hpp"

namespace doppio::cuda {

/// Graphs in sequence, and events that are recorded between them. An event inside of a graph would
/// not do: waiting for it waits for what was asked for before, not for what the graph will do.
class GraphSequence final : public DeviceGraph {
 public:
  GraphSequence() = default;
  GraphSequence(const GraphSequence&) = delete;
  GraphSequence& operator=(const GraphSequence&) = delete;
  ~GraphSequence() override {
    for (const Part& part : parts_)
      if (part.graph) cudaGraphExecDestroy(part.graph);
  }

  /// `event` may be null. Takes the memory that the graph needs, so that starting it cannot fail
  /// for want of it.
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
      if (part.event) check(cudaEventRecord(part.event, stream), "marking a place in a stream");
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
