#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>

namespace doppio::cuda {

/// A pool of one GPU's memory, from which a stream allocates without waiting. Memory that is freed
/// stays in the pool. Every function expects that GPU to be the current device.
class MemoryPool {
 public:
  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// Makes the pool, of GPU number `id`, whose memory is freed in the order of `stream`.
  void open(int id, cudaStream_t stream);
  void close() {
    if (pool_) cudaMemPoolDestroy(pool_);
  }

  /// For work on `stream`. Throws: OutOfMemory.
  void* allocate(std::size_t bytes, cudaStream_t stream);
  /// Lets GPU number `id` reach the memory.
  void open_to(int id);

 private:
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace doppio::cuda
