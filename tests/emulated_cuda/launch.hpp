#pragma once
// What nvcc brings along, for g++: kernels run thread by thread on the CPU. Only for tests.
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

// Where the running thread is. Work of all streams is done by one thread at a time.
inline dim3 gridDim, blockDim;
inline uint3 blockIdx, threadIdx;

/// Ends the thread's turn until all threads of its block have come as far.
void __syncthreads();

namespace emulated {

/// What the GPU was asked for since the program began, by name: kernels are called after the
/// functions whose lambdas they run; "cuBLAS", "upload", "download" and "wait" count calls of CUDA.
std::map<std::string, int>& journal();
/// Counts one more of `what` in it.
void note(const std::string& what);

/// Set by tests: no memory is left for graphs.
inline bool graphs_fail = false;

/// "copy_windows" of the lambda's type in its function copy_windows().
std::string kernel_name(const std::type_info& lambda);

/// Adds `work` to the end of what `stream` has to do. It is done as late as CUDA allows: when
/// somebody waits for it.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// For tests: from now on, work of `stream` is done as early as CUDA allows.
void hurry(cudaStream_t stream);

/// Lets the GPU do what `stream` was asked for until its piece of work number `until`.
void finish(cudaStream_t stream, std::uint64_t until);
/// Pieces of work that it was asked for so far.
std::uint64_t asked_for(cudaStream_t stream);
/// Runs `work`, a piece of work of some stream, with all GPUs' memory open.
void with_all_gpus_open(const std::function<void()>& work);
/// True if all GPUs may reach this memory of one of them.
bool reachable_by_all(const void* memory);

/// Runs `body` for every thread of the block blockIdx, in turns that end at barriers.
void run_with_barriers(const std::function<void()>& body);

/// Throws: InternalError if one of `count` words looks like a pointer to the host's memory.
void refuse_host_pointers(const std::uint64_t* words, std::size_t count);

template <class Argument>
void refuse_host_pointers(Argument argument) {
  static_assert(std::is_trivially_copyable_v<Argument>, "a kernel's arguments are copied as bytes");
  __builtin_clear_padding(&argument);  // old pointers may lie there
  std::uint64_t words[(sizeof argument + 7) / 8] = {};
  std::memcpy(words, &argument, sizeof argument);
  refuse_host_pointers(words, std::size(words));
}

/// The journal's name of a kernel with these parameters, one of which is the lambda that it runs.
template <class... Parameters>
std::string name_of_kernel() {
  std::string name;
  ((name = std::is_class_v<Parameters> && name.empty() ? kernel_name(typeid(Parameters)) : name),
   ...);
  return name.empty() ? "kernels without a lambda" : name;
}

/// Throws: InternalError if a real GPU would refuse the launch, or if an earlier error is left.
void check_launch(cudaStream_t stream, dim3 blocks, dim3 threads);

/// The last blocks and threads first: kernels must not rely on any order.
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
