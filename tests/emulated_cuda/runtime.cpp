// Two emulated GPUs: the part of the CUDA runtime that src/cuda uses, so that its host code and
// kernels can be tested without a GPU. Like a real GPU, they reject:
//  * in a capture, waiting for a stream or for an event recorded outside, and page-locked memory;
//  * launches beyond the limits; streams and events of another device; destroying a stream that is
//    being captured.
// cudaGetLastError() works as in CUDA, and sticky errors persist. Beyond that, they are stricter:
//  * Work runs as late as possible, when it is waited for: a missing wait reads garbage.
//  * Only a GPU's own work can access its memory; other code crashes.
//  * Only threads whose current device it is can enqueue work, and during a capture only the one
//    that began it. Nothing can be allocated on a captured stream.
//  * Fresh and released memory holds NaN, never old values.
//  * Kernel arguments must not be pointers to host memory.
#include <cuda_runtime_api.h>
#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/arena.hpp"
#include "cuda/check.hpp"
#include "cuda/runtime/probe.hpp"
#include "doppio/error.hpp"
#include "emulated_cuda/dnn.hpp"
#include "emulated_cuda/launch.hpp"

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st : CUgraph_st {};

struct CUstream_st {
  int gpu = 0;
  bool hurries = false;
  std::deque<std::function<void()>> work;
  std::uint64_t done = 0;          ///< number of completed work items
  cudaGraph_t captured = nullptr;  ///< receives new work during a capture
  std::thread::id captured_by;
  bool spoiled = false;  ///< an illegal call has invalidated the capture
};

struct CUevent_st {
  int gpu = 0;
  cudaStream_t stream = nullptr;
  std::uint64_t after = 0;  ///< work items that precede it in `stream`
};

namespace doppio::cuda {

namespace {

constexpr int kGpus = 2;

std::recursive_mutex mutex;

thread_local int current = 0;                      // the thread's current device
thread_local std::vector<cudaStream_t> capturing;  // by this thread
thread_local cudaError_t last_error = cudaSuccess;

/// Stores `status` for cudaGetLastError() and returns it.
cudaError_t remembered(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

/// The error of a crashed kernel, which all later calls return.
cudaError_t sticky_error() { return emulated::broken; }

cudaError_t spoil_capture(cudaStream_t stream, cudaError_t status) {
  stream->spoiled = true;
  return remembered(status);
}

/// Rejects calls that a capturing thread may not make in the capture mode of src/cuda.
cudaError_t unless_capturing() {
  for (const cudaStream_t stream : capturing)
    spoil_capture(stream, cudaErrorStreamCaptureUnsupported);
  return capturing.empty() ? sticky_error() : cudaErrorStreamCaptureUnsupported;
}

/// A GPU's memory: a range of addresses, accessible only while the GPU runs.
class Gpu {
 public:
  static constexpr std::size_t kBytes = std::size_t{8} << 30;
  bool open_to_others = false;

  Gpu() {
    void* range =
        mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ensure(range != MAP_FAILED, "no addresses are left for the emulated GPU");
    madvise(range, kBytes, MADV_HUGEPAGE);  // mprotect() takes time per page
    begin_ = static_cast<std::byte*>(range);
    begins[count++] = begin_;
    struct sigaction action {};
    action.sa_sigaction = explain_crash;
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaction(SIGSEGV, &action, nullptr);
  }

  void* take(std::size_t bytes) {
    const std::size_t offset = placement_.take(bytes);
    if (offset == Placement::kNone) return nullptr;
    used_ += sizes_[begin_ + offset] = bytes;
    return begin_ + offset;
  }
  std::size_t size_of(void* block) const { return sizes_.at(static_cast<std::byte*>(block)); }
  bool is_block(void* block) const { return sizes_.count(static_cast<std::byte*>(block)) > 0; }
  void give_back(void* block) {
    used_ -= size_of(block);
    sizes_.erase(static_cast<std::byte*>(block));
    placement_.give_back(static_cast<std::size_t>(static_cast<std::byte*>(block) - begin_));
  }
  std::size_t used() const { return used_; }

  /// True if these bytes are in the GPU's memory.
  bool holds(const void* memory, std::size_t bytes) const {
    const auto at = static_cast<const std::byte*>(memory);
    return at >= begin_ && at + bytes <= begin_ + kBytes;
  }

  void open() {
    if (depth_++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  void close() {
    if (--depth_ == 0) protect(PROT_NONE);
  }

 private:
  void protect(int access) {
    if (placement_.peak() > 0) mprotect(begin_, placement_.peak(), access);
  }

  static void explain_crash(int, siginfo_t* info, void*) {
    const auto at = static_cast<const std::byte*>(info->si_addr);
    constexpr char kText[] = "somebody else touched the memory of an (emulated) GPU\n";
    for (const std::byte* begin : begins)
      if (begin && at >= begin && at < begin + kBytes) [[maybe_unused]]
        const ssize_t written = write(STDERR_FILENO, kText, sizeof kText - 1);
  }

  static inline const std::byte* begins[kGpus] = {};
  static inline int count = 0;
  std::byte* begin_;
  Placement placement_{kBytes};
  std::map<std::byte*, std::size_t> sizes_;
  std::size_t used_ = 0;
  int depth_ = 0;
};

Gpu& gpu(int number = current) {
  static Gpu instances[kGpus];
  return instances[number];
}

/// Returns the GPU whose memory contains these bytes, or null.
Gpu* owner(const void* memory, std::size_t bytes = 1) {
  for (int i = 0; i < kGpus; ++i)
    if (gpu(i).holds(memory, bytes)) return &gpu(i);
  return nullptr;
}

void drain(cudaStream_t stream, std::uint64_t until) {
  const std::lock_guard lock(mutex);
  gpu(stream->gpu).open();
  while (stream->done < until && !stream->work.empty()) {
    const std::function<void()> work = std::move(stream->work.front());
    stream->work.pop_front();
    ++stream->done;
    work();
  }
  gpu(stream->gpu).close();
}

void drain(cudaStream_t stream) { drain(stream, UINT64_MAX); }

}  // namespace

namespace emulated {

std::map<std::string, int>& journal() {
  /// Prints its contents at program exit if $DOPPIO_JOURNAL is set.
  struct Journal : std::map<std::string, int> {
    ~Journal() {
      if (std::getenv("DOPPIO_JOURNAL"))
        for (const auto& [what, count] : *this) std::cerr << count << ' ' << what << '\n';
    }
  };
  static Journal instance;
  return instance;
}

void note(const std::string& what) {
  const std::lock_guard lock(mutex);
  ++journal()[what];
}

void finish(cudaStream_t stream, std::uint64_t until) { drain(stream, until); }

std::uint64_t asked_for(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  return stream->done + stream->work.size();
}

void with_all_gpus_open(const std::function<void()>& work) {
  for (int i = 0; i < kGpus; ++i) gpu(i).open();
  work();
  for (int i = 0; i < kGpus; ++i) gpu(i).close();
}

bool reachable_by_all(const void* memory) {
  const Gpu* gpu = owner(memory);
  return gpu && gpu->open_to_others;
}

std::string kernel_name(const std::type_info& lambda) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(lambda.name(), nullptr, nullptr, &status);
  std::string name = demangled ? demangled : "";
  std::free(demangled);
  // namespaces::function(parameters)::{lambda(parameters)#1}; templates end in <arguments>.
  const std::size_t end = name.rfind("::{lambda");
  if (end == std::string::npos) return {};
  name.resize(end);
  name.resize(std::min(name.find("(doppio::"), name.size()));
  name.resize(std::min(name.find("(CUstream"), name.size()));
  name.resize(std::min(name.find("<doppio::"), name.size()));
  return name.substr(name.rfind(':') + 1);
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(mutex);
  ensure(stream->gpu == current, "the stream belongs to another GPU than the current device");
  ensure(!stream->captured || stream->captured_by == std::this_thread::get_id(),
         "work would become part of another thread's capture");
  if (stream->captured)
    stream->captured->work.push_back(std::move(work));
  else
    stream->work.push_back(std::move(work));
  if (stream->hurries && !stream->captured) drain(stream);
}

void check_launch(cudaStream_t stream, dim3 blocks, dim3 threads) {
  const auto within = [](dim3 size, unsigned x, unsigned y, unsigned z) {
    return size.x - 1 < x && size.y - 1 < y && size.z - 1 < z;  // so 0 is too large
  };
  ensure(blocks.y == 1 && blocks.z == 1 && threads.z == 1, "not emulated");
  if (!within(blocks, 0x7fff'ffff, 65535, 65535) || !within(threads, 1024, 1024, 64) ||
      threads.x * threads.y > 1024)
    remembered(cudaErrorInvalidConfiguration);
  if (stream->captured && stream->spoiled) remembered(cudaErrorStreamCaptureInvalidated);
  check(cudaGetLastError(), "launching a kernel");
}

void hurry(cudaStream_t stream) { stream->hurries = true; }

void refuse_host_pointers(const std::uint64_t* words, std::size_t count) {
  // Linux maps programs, heaps, libraries and stacks to this range; sizes and floats are outside.
  constexpr std::uint64_t kFirst = 0x5500'0000'0000, kLast = 0x7fff'ffff'ffff;
  for (std::size_t i = 0; i < count; ++i)
    ensure(words[i] < kFirst || words[i] > kLast ||
               gpu().holds(reinterpret_cast<const void*>(words[i]), 0),
           "a kernel is given a pointer to memory that is not its GPU's");
}

}  // namespace emulated

cudaError_t probe() { return cudaSuccess; }

}  // namespace doppio::cuda

namespace {

using doppio::cuda::capturing;
using doppio::cuda::drain;
using doppio::cuda::gpu;
using doppio::cuda::last_error;
using doppio::cuda::remembered;
using doppio::cuda::spoil_capture;
using doppio::cuda::sticky_error;
using doppio::cuda::unless_capturing;
using doppio::cuda::emulated::enqueue;
using doppio::cuda::emulated::note;

/// Fills memory with NaN, as floats and as doubles, which no kernel should read.
void spoil(void* memory, std::size_t bytes) { std::memset(memory, 0xFF, bytes); }

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = doppio::cuda::kGpus;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }
cudaError_t cudaGetDevice(int* id) {
  *id = doppio::cuda::current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int id) {
  if (id < 0 || id >= doppio::cuda::kGpus) return remembered(cudaErrorInvalidDevice);
  doppio::cuda::current = id;
  return sticky_error();
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int id, int peer) {
  *can = id != peer;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t status = std::exchange(last_error, cudaSuccess);
  return sticky_error() ? sticky_error() : status;
}
cudaError_t cudaPeekAtLastError() { return sticky_error() ? sticky_error() : last_error; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->totalGlobalMem = doppio::cuda::Gpu::kBytes;
  properties->major = 9;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  if (attribute != cudaDevAttrComputeCapabilityMajor)
    return remembered(cudaErrorInvalidValue);  // not emulated
  *value = doppio::cuda::emulated::compute_capability_major;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  (*stream)->gpu = doppio::cuda::current;
  return sticky_error();
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream->captured) return spoil_capture(stream, cudaErrorStreamCaptureUnsupported);
  drain(stream);
  static std::vector<std::unique_ptr<CUstream_st>> destroyed;  // events may still refer to them
  const std::lock_guard lock(doppio::cuda::mutex);
  destroyed.emplace_back(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  note("wait");
  if (stream->captured) return spoil_capture(stream, cudaErrorStreamCaptureUnsupported);
  drain(stream);
  return sticky_error();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->captured) return remembered(cudaErrorIllegalState);
  capturing.push_back(stream);
  stream->captured = new CUgraph_st;
  stream->captured_by = std::this_thread::get_id();
  stream->spoiled = false;
  return sticky_error();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->captured) return remembered(cudaErrorIllegalState);
  if (stream->captured_by != std::this_thread::get_id())
    return remembered(cudaErrorStreamCaptureWrongThread);
  std::erase(capturing, stream);
  *graph = std::exchange(stream->captured, nullptr);
  if (!stream->spoiled) return cudaSuccess;
  delete std::exchange(*graph, nullptr);
  return remembered(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
  *count = graph->work.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  if (doppio::cuda::emulated::graphs_fail) return remembered(cudaErrorMemoryAllocation);
  *made = new CUgraphExec_st{*graph};
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  if (sticky_error()) return sticky_error();
  note("graph");
  for (const std::function<void()>& work : graph->work) enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st{doppio::cuda::current};
  return sticky_error();
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->captured) return remembered(cudaErrorStreamCaptureUnsupported);  // not emulated
  if (event->gpu != stream->gpu) return remembered(cudaErrorInvalidResourceHandle);
  *event = {event->gpu, stream, doppio::cuda::emulated::asked_for(stream)};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream) drain(event->stream, event->after);
  return sticky_error();
}
/// Every work item takes a microsecond.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = static_cast<float>(end->after - begin->after) / 1000;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->captured && event->stream)  // recorded outside the capture, as all events are here
    return spoil_capture(stream, cudaErrorStreamCaptureIsolation);
  enqueue(stream, [recorded = *event] {
    if (recorded.stream) drain(recorded.stream, recorded.after);
  });
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(doppio::cuda::mutex);
  *total = doppio::cuda::Gpu::kBytes;
  *free = *total - gpu().used();
  return cudaSuccess;
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* props) {
  *pool = reinterpret_cast<cudaMemPool_t>(&gpu(props->location.id));  // each GPU has one
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const cudaMemAccessDesc*, std::size_t) {
  reinterpret_cast<doppio::cuda::Gpu*>(pool)->open_to_others = true;
  return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
  const std::lock_guard lock(doppio::cuda::mutex);
  *static_cast<std::uint64_t*>(value) = gpu().used();
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMallocFromPoolAsync(void** memory, std::size_t bytes, cudaMemPool_t,
                                    cudaStream_t stream) {
  const std::lock_guard lock(doppio::cuda::mutex);
  if (sticky_error()) return sticky_error();
  if (stream->captured) return spoil_capture(stream, cudaErrorStreamCaptureUnsupported);
  *memory = bytes > doppio::cuda::emulated::largest_allocation ? nullptr : gpu().take(bytes);
  if (!*memory) return remembered(cudaErrorMemoryAllocation);
  enqueue(stream, [memory = *memory, bytes] { spoil(memory, bytes); });
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  const std::lock_guard lock(doppio::cuda::mutex);
  doppio::cuda::Gpu& its = gpu();
  if (sticky_error()) return sticky_error();
  if (!its.is_block(memory) || stream->captured) return remembered(cudaErrorInvalidValue);
  enqueue(stream, [memory, &its] {
    spoil(memory, its.size_of(memory));
    its.give_back(memory);
  });
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  if (const cudaError_t status = unless_capturing()) return status;
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* memory) {
  if (const cudaError_t status = unless_capturing()) return status;
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (sticky_error()) return sticky_error();
  const bool to_gpu = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_gpu = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (gpu().holds(to, bytes) != to_gpu || gpu().holds(from, bytes) != from_gpu)
    return remembered(cudaErrorInvalidValue);
  if (!from_gpu) note("upload");
  if (!to_gpu) note("download");
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  if (sticky_error()) return sticky_error();
  if (!gpu().holds(memory, bytes)) return remembered(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

}  // extern "C"
