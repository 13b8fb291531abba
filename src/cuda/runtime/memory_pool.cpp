#include "cuda/runtime/memory_pool.hpp"

#include <cstdint>

#include "cuda/check.hpp"
#include "cuda/runtime/diagnostics.hpp"
#include "doppio/error.hpp"

namespace doppio::cuda {

void MemoryPool::open(int id, cudaStream_t stream) {
  stream_ = stream;
  cudaMemPoolProps props{};
  props.allocType = cudaMemAllocationTypePinned;
  props.location = {cudaMemLocationTypeDevice, id};
  check(cudaMemPoolCreate(&pool_, &props), "creating a memory pool");
  std::uint64_t keep = UINT64_MAX;  // keep freed memory for the next layer
  check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
        "setting up a memory pool");
}

void* MemoryPool::allocate(std::size_t bytes, cudaStream_t stream) {
  void* memory = nullptr;
  cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream);
  if (status == cudaErrorMemoryAllocation) {  // the pool may be fragmented
    cudaGetLastError();
    check(cudaStreamSynchronize(stream_), "waiting for the device");
    check(cudaMemPoolTrimTo(pool_, 0), "releasing unused memory");
    status = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "querying free memory");
    std::uint64_t ours = 0;
    check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &ours),
          "querying used memory");
    throw OutOfMemory(out_of_memory(bytes, free, total), free + ours);
  }
  check(status, "allocating memory");
  return memory;
}

void MemoryPool::open_to(int id) {
  cudaMemAccessDesc access{};
  access.location = {cudaMemLocationTypeDevice, id};
  access.flags = cudaMemAccessFlagsProtReadWrite;
  check(cudaMemPoolSetAccess(pool_, &access, 1), "opening a memory pool to a device");
}

}  // namespace doppio::cuda
