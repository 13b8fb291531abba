#include "cuda/runtime/stream_capture.hpp"

#include <glog/logging.h>

#include <exception>
#include <utility>

namespace doppio::cuda {

void StreamCapture::begin() {
  const std::lock_guard lock(mutex_);
  begin_part();
  graphs_ = std::make_shared<GraphSequence>();
  capturer_ = std::this_thread::get_id();
  spoiled_ = false;
}

/// Splits the capture at the event.
void StreamCapture::record(cudaEvent_t event) {
  end_part(event);
  begin_part();
}

std::shared_ptr<const GraphSequence> StreamCapture::end(int id) {
  end_part(nullptr);
  const std::lock_guard lock(mutex_);
  capturer_ = std::thread::id();
  const std::shared_ptr<GraphSequence> graphs = std::exchange(graphs_, nullptr);
  const bool whole = !spoiled_ && released_.empty();
  if (!whole)
    LOG(INFO) << "The work captured on GPU " << id << " cannot be replayed: "
              << (spoiled_ ? why_spoiled_ : "memory was released that it may use");
  for (const Released& released : std::exchange(released_, {})) give_back(released);
  return whole ? graphs : nullptr;
}

void StreamCapture::release(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  if (graphs_)  // a graph cannot free it and may use it again
    released_.push_back({memory, false});
  else
    give_back({memory, false});
}

void StreamCapture::release_host(void* memory) noexcept {
  if (!running_here()) return give_back({memory, true});
  const std::lock_guard lock(mutex_);
  released_.push_back({memory, true});
}

void StreamCapture::begin_part() {
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "beginning a capture");
}

void StreamCapture::end_part(cudaEvent_t event) {
  cudaGraph_t graph = nullptr;
  if (const cudaError_t status = cudaStreamEndCapture(stream_, &graph); status || !graph) {
    cudaGetLastError();
    return spoil(cudaGetErrorString(status));
  }
  const std::unique_ptr<CUgraph_st, decltype(&cudaGraphDestroy)> owner(graph, cudaGraphDestroy);
  if (spoiled_) return;
  try {
    graphs_->add(graph, event, stream_);
  } catch (const std::exception& e) {  // such as out of memory: the pass runs without a graph
    spoil(e.what());
  }
}

void StreamCapture::spoil(const std::string& why) {
  if (!std::exchange(spoiled_, true)) why_spoiled_ = why;
}

/// Freeing on stream_ is safe even if the side stream used the memory: end_side_stream() makes
/// stream_ wait for it before that memory can be released.
void StreamCapture::give_back(const Released& released) noexcept {
  const cudaError_t status =
      released.on_host ? cudaFreeHost(released.memory) : cudaFreeAsync(released.memory, stream_);
  // Clear the error, or the next launch would report it.
  if (status != cudaSuccess) cudaGetLastError();
}

}  // namespace doppio::cuda
