#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cuda/runtime/graph_sequence.hpp"

namespace doppio::cuda {

/// Captures a stream's work for one thread at a time, and frees the stream's memory: memory that is
/// released during a capture is freed after it.
class StreamCapture {
 public:
  /// Must be called once, before all other functions.
  void open(cudaStream_t stream) { stream_ = stream; }

  /// Begins to capture the calling thread's work on the stream.
  void begin();
  /// Records `event` at this point of the captured work.
  void record(cudaEvent_t event);
  /// Returns the captured work of GPU number `id`; null, after logging why, if it cannot be
  /// replayed.
  std::shared_ptr<const GraphSequence> end(int id);

  bool running() const { return capturer_ != std::thread::id(); }
  /// Returns whether the calling thread captures. Other threads may prepare the next batches
  /// meanwhile.
  bool running_here() const { return capturer_ == std::this_thread::get_id(); }
  /// Throws: NotCapturable if the calling thread captures.
  void refuse(const char* what) const {
    if (running_here()) throw NotCapturable(what);
  }

  /// Frees device memory in stream order. Thread-safe.
  void release(void* memory) noexcept;
  /// Frees page-locked host memory.
  void release_host(void* memory) noexcept;

 private:
  struct Released {
    void* memory;
    bool on_host;
  };
  void begin_part();
  void end_part(cudaEvent_t event);
  void spoil(const std::string& why);
  void give_back(const Released& released) noexcept;

  cudaStream_t stream_ = nullptr;
  bool spoiled_ = false;
  std::string why_spoiled_;
  std::atomic<std::thread::id> capturer_{};
  std::mutex mutex_;  // guards the members below: any thread may release memory
  std::shared_ptr<GraphSequence> graphs_;
  std::vector<Released> released_;  // during the capture
};

}  // namespace doppio::cuda
