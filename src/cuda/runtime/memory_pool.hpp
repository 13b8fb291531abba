#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>

namespace doppio::cuda {

/// A pool of one GPU's memory for stream-ordered allocation. Freed memory stays in the pool. All
/// functions expect that GPU to be the current device.
class MemoryPool {
 public:
  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// Creates the pool on GPU number `id`. Its memory is freed in the order of `stream`.
  void open(int id, cudaStream_t stream);
  void close() {
    if (pool_) cudaMemPoolDestroy(pool_);
  }

  /// Allocates memory for work on `stream`. Throws: OutOfMemory.
  void* allocate(std::size_t bytes, cudaStream_t stream);
  /// Gives GPU number `id` access to the memory.
  void open_to(int id);

 private:
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace doppio::cuda
