#pragma once
// Replaces built-ins of nvcc for g++: kernels run thread by thread on the CPU. For tests only.
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <typeinfo>

#undef __global__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __shared__ static
#define __launch_bounds__(...)

namespace doppio::cuda {

// Indices of the running thread. One CPU thread at a time runs the work of all streams.
inline dim3 gridDim, blockDim;
inline uint3 blockIdx, threadIdx;

/// Suspends the thread until all threads of its block have called it.
void __syncthreads();

namespace emulated {

/// Counts GPU operations since program start, by name: a kernel has the name of the function whose
/// lambda it runs; "cuBLAS", "upload", "download" and "wait" count CUDA calls.
std::map<std::string, int>& journal();
/// Increments the count of `what`.
void note(const std::string& what);

/// Set by tests: instantiating graphs runs out of memory.
inline bool graphs_fail = false;

/// Returns "copy_windows" for the type of a lambda in copy_windows().
std::string kernel_name(const std::type_info& lambda);

/// Enqueues `work` on `stream`. It runs as late as CUDA allows: when it is waited for.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// For tests: from now on, work of `stream` runs as early as CUDA allows.
void hurry(cudaStream_t stream);

/// Runs the work of `stream` up to work item number `until`.
void finish(cudaStream_t stream, std::uint64_t until);
/// Number of work items enqueued so far.
std::uint64_t asked_for(cudaStream_t stream);
/// Runs a work item with the memory of all GPUs accessible.
void with_all_gpus_open(const std::function<void()>& work);
/// True if all GPUs may access this memory of one of them.
bool reachable_by_all(const void* memory);

/// Runs `body` for every thread of the block blockIdx, in turns that end at barriers.
void run_with_barriers(const std::function<void()>& body);

/// Throws: InternalError if one of `count` words looks like a pointer to host memory.
void refuse_host_pointers(const std::uint64_t* words, std::size_t count);

template <class Argument>
void refuse_host_pointers(Argument argument) {
  static_assert(std::is_trivially_copyable_v<Argument>, "a kernel's arguments are copied as bytes");
  __builtin_clear_padding(&argument);  // it may hold old pointers
  std::uint64_t words[(sizeof argument + 7) / 8] = {};
  std::memcpy(words, &argument, sizeof argument);
  refuse_host_pointers(words, std::size(words));
}

/// Returns the journal's name of a kernel, one of whose parameters is the lambda that it runs.
template <class... Parameters>
std::string name_of_kernel() {
  std::string name;
  ((name = std::is_class_v<Parameters> && name.empty() ? kernel_name(typeid(Parameters)) : name),
   ...);
  return name.empty() ? "kernels without a lambda" : name;
}

/// Throws: InternalError if a real GPU would reject the launch, or after an earlier error.
void check_launch(cudaStream_t stream, dim3 blocks, dim3 threads);

/// Runs the last blocks and threads first: kernels must not rely on any order.
template <class... Parameters>
void start(cudaStream_t stream, dim3 blocks, dim3 threads, bool barriers,
           void (*kernel)(Parameters...), const Parameters&... arguments) {
  (refuse_host_pointers(arguments), ...);
  check_launch(stream, blocks, threads);
  note(name_of_kernel<Parameters...>());
  enqueue(stream, [=] {
    gridDim = blocks;
    blockDim = threads;
    for (unsigned block = blocks.x; block-- > 0;) {
      blockIdx = {block, 0, 0};
      if (barriers) {
        run_with_barriers([&] { kernel(arguments...); });
        continue;
      }
      for (unsigned y = threads.y; y-- > 0;)
        for (unsigned x = threads.x; x-- > 0;) {
          threadIdx = {x, y, 0};
          kernel(arguments...);
        }
    }
  });
}

}  // namespace emulated
}  // namespace doppio::cuda
