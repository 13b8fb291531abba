#include <cublas_v2.h>
#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/accelerator.hpp"
#include "core/pixel_batch.hpp"
#include "cuda/check.hpp"
#ifdef DOPPIO_CUDNN
#include "cuda/runtime/cudnn.hpp"
#endif
#ifdef DOPPIO_NCCL
#include "cuda/runtime/nccl.hpp"
#endif
#include "cuda/kernels/layout_kernels.hpp"
#include "cuda/runtime/diagnostics.hpp"
#include "cuda/runtime/graph_sequence.hpp"
#include "cuda/runtime/probe.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using cuda::check;
using cuda::check_blas;
using cuda::GraphSequence;

/// One card: a stream, a pool of memory and a cuBLAS handle, in which everything happens in the
/// stream's order; a second stream, whose copies run beside that; and a third one for other work.
class CudaDevice final : public Accelerator {
 public:
  explicit CudaDevice(int id) : id_(id) {}
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  /// Does nothing after an error that the device does not recover from, or when CUDA itself has
  /// ended, as in destructors of static objects: cuBLAS and cuDNN might crash, and nothing is left
  /// to be freed.
  ~CudaDevice() override {
    if (cudaSetDevice(id_) != cudaSuccess) return;
    if (stream_ && cudaStreamSynchronize(stream_) != cudaSuccess) return;
    if (blas_) cublasDestroy(blas_);
#ifdef DOPPIO_CUDNN
    if (dnn_) cuda::cudnn().Destroy(dnn_);
#endif
    if (counter_) cudaFreeAsync(counter_, stream_);
    if (blas_memory_) cudaFreeAsync(blas_memory_, stream_);
    for (const cudaStream_t stream : {stream_, uploads_, side_})
      if (stream) {
        cudaStreamSynchronize(stream);
        cudaStreamDestroy(stream);
      }
    marks_.insert(marks_.end(), {reached_, downloaded_, side_done_});
    marks_.insert(marks_.end(), std::begin(uploaded_), std::end(uploaded_));
    for (const cudaEvent_t event : marks_)
      if (event) cudaEventDestroy(event);
    if (pool_) cudaMemPoolDestroy(pool_);
  }

  void open() {
    use();
    for (cudaStream_t* stream : {&stream_, &uploads_, &side_})
      check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "creating a stream");
    current_ = stream_;
    for (cudaEvent_t* event : {&reached_, &downloaded_, &side_done_}) *event = new_event();
    for (cudaEvent_t& event : uploaded_) event = new_event();
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.location = {cudaMemLocationTypeDevice, id_};
    check(cudaMemPoolCreate(&pool_, &props), "creating a memory pool");
    std::uint64_t keep = UINT64_MAX;  // freed memory stays with us: the next layer wants it
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
          "setting up a memory pool");
    check_blas(cublasCreate(&blas_), "creating a handle");
    check_blas(cublasSetStream(blas_, stream_), "setting the stream");
    // Of its own, cuBLAS would take some for each capture, and perhaps choose other algorithms.
    blas_memory_ = allocate(kBlasMemory);
    check_blas(cublasSetWorkspace(blas_, blas_memory_, kBlasMemory), "giving it memory");
  }

  int id() const override { return id_; }

  void open_to(int id) override {
    use();
    int can = 0;
    check(cudaDeviceCanAccessPeer(&can, id, id_), "asking which devices reach each other");
    if (!can) return;
    cudaMemAccessDesc access{};
    access.location = {cudaMemLocationTypeDevice, id};
    access.flags = cudaMemAccessFlagsProtReadWrite;
    check(cudaMemPoolSetAccess(pool_, &access, 1), "opening a memory pool to a device");
  }

  void* allocate(std::size_t bytes) override {
    use();
    not_while_capturing("taking memory");
    ensure(capturer_ == std::thread::id(),
           "a thread allocates device memory while another one captures its stream");
    void* memory = nullptr;
    cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, pool_, current_);
    if (status == cudaErrorMemoryAllocation) {  // perhaps the pool holds enough, but in pieces
      cudaGetLastError();
      synchronize();
      check(cudaMemPoolTrimTo(pool_, 0), "giving unused memory back");
      status = cudaMallocFromPoolAsync(&memory, bytes, pool_, current_);
    }
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total), "asking for the free memory");
      std::uint64_t ours = 0;
      check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &ours),
            "asking for the memory in use");
      throw OutOfMemory(cuda::out_of_memory(bytes, free, total), free + ours);
    }
    check(status, "allocating memory");
    return memory;
  }

  void release(void* memory) noexcept override {
    cudaSetDevice(id_);
    const std::lock_guard lock(mutex_);
    if (capture_)  // which cannot free it and might use it again
      released_.push_back({memory, false});
    else
      give_back({memory, false});
  }

  // The caller may overwrite `host` at once, and CUDA does not promise that it has been read before
  // the stream is through.
  void to_device(void* device, const void* host, std::size_t bytes) override {
    use();
    not_while_capturing("copying to the device");
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, current_),
          "copying to the device");
    check(cudaStreamSynchronize(current_), "waiting for the device");
  }

  void to_host(void* host, const void* device, std::size_t bytes) override {
    use();
    not_while_capturing("copying to the host");
    check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, current_),
          "copying to the host");
    check(cudaStreamSynchronize(current_), "waiting for the device");
  }

  void zero(void* device, std::size_t bytes) override {
    use();
    check(cudaMemsetAsync(device, 0, bytes, current_), "clearing memory");
  }

  std::uint64_t begin_upload(void* device, const void* host, std::size_t bytes) override {
    use();
    not_while_capturing("copying to the device");
    check(cudaEventRecord(reached_, stream_), "marking a place in a stream");
    check(cudaStreamWaitEvent(uploads_, reached_, 0), "waiting for a stream");
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, uploads_),
          "copying to the device");
    check(cudaEventRecord(uploaded(++upload_count_), uploads_), "marking a place in a stream");
    return upload_count_;
  }

  void await_upload(std::uint64_t number) override {
    use();
    if (capturing_here()) return;  // it begins behind them
    check(cudaStreamWaitEvent(current_, uploaded(number), 0), "waiting for a stream");
  }

  void finish_upload(std::uint64_t number) override {
    use();
    not_while_capturing("waiting for a copy");
    check(cudaEventSynchronize(uploaded(number)), "waiting for a copy");
  }

  void begin_download(void* host, const void* device, std::size_t bytes) override {
    use();
    check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, current_),
          "copying to the host");
    record(downloaded_);
  }

  void finish_downloads() override {
    use();
    not_while_capturing("waiting for a copy");
    check(cudaEventSynchronize(downloaded_), "waiting for a copy");
  }

  void mark(std::size_t number) override {
    use();
    while (marks_.size() <= number) marks_.push_back(new_event());
    record(marks_[number]);
  }

  void begin_side(std::size_t mark) override {
    use();
    check(cudaStreamWaitEvent(side_, marks_.at(mark), 0), "waiting for a stream");
    current_ = side_;
  }

  void end_side() override {
    use();
    if (std::exchange(current_, stream_) != side_) return;
    check(cudaEventRecord(side_done_, side_), "marking a place in a stream");
    check(cudaStreamWaitEvent(stream_, side_done_, 0), "waiting for a stream");
  }

  void begin_capture() override {
    use();
    counter();
    const std::lock_guard lock(mutex_);
    begin_part();
    capture_ = std::make_shared<GraphSequence>();
    capturer_ = std::this_thread::get_id();
    spoiled_ = false;
  }

  std::shared_ptr<const DeviceGraph> end_capture() override {
    use();
    end_part(nullptr);
    const std::lock_guard lock(mutex_);
    capturer_ = std::thread::id();
    const std::shared_ptr<GraphSequence> graphs = std::exchange(capture_, nullptr);
    const bool whole = !spoiled_ && released_.empty();
    if (!whole)
      LOG(INFO) << "The work captured on GPU " << id_ << " cannot be replayed: "
                << (spoiled_ ? why_spoiled_ : "memory was released that it may use");
    for (const Released& released : std::exchange(released_, {})) give_back(released);
    return whole ? graphs : nullptr;
  }

  void replay(const DeviceGraph& graph) override {
    use();
    static_cast<const GraphSequence&>(graph).launch(stream_);
  }

  const std::uint64_t* counter() override {
    if (!counter_) counter_ = static_cast<std::uint64_t*>(allocate(sizeof *counter_));
    return counter_;
  }

  void set_counter(std::uint64_t value) override {
    use();
    counter();
    cuda::store(stream_, value, counter_);
  }

  void* allocate_host(std::size_t bytes) override {
    use();
    not_while_capturing("taking page-locked memory");
    void* memory = nullptr;
    const cudaError_t status = cudaMallocHost(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw Error(
          str("out of memory: ", bytes,
              " page-locked bytes wanted on the host; try a smaller batch_size or prefetch"));
    }
    check(status, "allocating page-locked memory");
    return memory;
  }

  void release_host(void* memory) noexcept override {
    cudaSetDevice(id_);
    if (!capturing_here()) return give_back({memory, true});
    const std::lock_guard lock(mutex_);
    released_.push_back({memory, true});
  }

  void synchronize() override {
    use();
    not_while_capturing("waiting for the device");
    check(cudaStreamSynchronize(stream_), "waiting for the device");
  }

  void from_plain(const Blocks& sizes, const float* plain, Layout layout, void* to) override {
    use();
    cuda::from_plain(current_, sizes, plain, layout, to);
  }

  void to_plain(const Blocks& sizes, Layout layout, const void* from, float* plain) override {
    use();
    cuda::to_plain(current_, sizes, layout, from, plain);
  }

  void round(Index count, const float* from, void* to) override {
    use();
    cuda::round(current_, count, from, to);
  }

  void widen(Index count, const void* from, float* to) override {
    use();
    cuda::widen(current_, count, from, to);
  }

  void transform(const PixelBatch& batch) override {
    use();
    cuda::transform(current_, batch);
  }

  void* stream() override {
    use();
    return current_;
  }

  void* blas() override {
    use();
    return blas_;
  }

  void* dnn() override {
#ifdef DOPPIO_CUDNN
    use();
    if (!dnn_) {  // takes half a second
      cuda::check_dnn(cuda::cudnn().Create(&dnn_), "creating a handle");
      cuda::check_dnn(cuda::cudnn().SetStream(dnn_, stream_), "setting the stream");
    }
    return dnn_;
#else
    throw InternalError("this build has no cuDNN");
#endif
  }

 private:
  /// The current device belongs to the calling thread, and other contexts may have changed it.
  void use() { check(cudaSetDevice(id_), "choosing the device"); }

  static cudaEvent_t new_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
    return event;
  }

  struct Released {
    void* memory;
    bool on_host;
  };

  /// Memory that was used on side_ is freed on stream_ all the same: end_side() has let stream_
  /// wait for side_ before anybody can release it, and what is allocated on side_ is used there
  /// later.
  void give_back(const Released& released) noexcept {
    const cudaError_t status =
        released.on_host ? cudaFreeHost(released.memory) : cudaFreeAsync(released.memory, stream_);
    // An error here must not be taken for one of the next launch.
    if (status != cudaSuccess) cudaGetLastError();
  }

  /// The event behind an upload, or behind a later one.
  cudaEvent_t uploaded(std::uint64_t number) const {
    return uploaded_[number % std::size(uploaded_)];
  }

  /// Other threads make the next batches meanwhile.
  bool capturing_here() const { return capturer_ == std::this_thread::get_id(); }

  void not_while_capturing(const char* what) const {
    if (capturing_here()) throw NotCapturable(what);
  }

  /// In a capture, the event comes between two parts of it.
  void record(cudaEvent_t event) {
    if (!capturing_here())
      return check(cudaEventRecord(event, current_), "marking a place in a stream");
    end_part(event);
    begin_part();
  }

  void begin_part() {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "beginning a capture");
  }

  void end_part(cudaEvent_t event) {
    cudaGraph_t graph = nullptr;
    if (const cudaError_t status = cudaStreamEndCapture(stream_, &graph); status || !graph) {
      cudaGetLastError();
      return spoil(cudaGetErrorString(status));
    }
    const std::unique_ptr<CUgraph_st, decltype(&cudaGraphDestroy)> owner(graph, cudaGraphDestroy);
    if (spoiled_) return;
    try {
      capture_->add(graph, event, stream_);
    } catch (const std::exception& e) {  // no memory is left, say: the work is done step by step
      spoil(e.what());
    }
  }

  void spoil(const std::string& why) {
    if (!std::exchange(spoiled_, true)) why_spoiled_ = why;
  }

  static constexpr std::size_t kBlasMemory = std::size_t{32} << 20;  // what it likes on Hopper

  const int id_;
  cudaStream_t stream_ = nullptr, uploads_ = nullptr, side_ = nullptr;
  cudaStream_t current_ = nullptr;  // where work goes: stream_ or side_
  cudaEvent_t reached_ = nullptr, downloaded_ = nullptr, side_done_ = nullptr;
  cudaEvent_t uploaded_[64] = {};  // of the latest uploads
  std::uint64_t upload_count_ = 0;
  std::vector<cudaEvent_t> marks_;
  cudaMemPool_t pool_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  void* blas_memory_ = nullptr;
  std::uint64_t* counter_ = nullptr;
  bool spoiled_ = false;  // the capture
  std::string why_spoiled_;
  std::atomic<std::thread::id> capturer_{};
  std::mutex mutex_;  // guards what follows: any thread may release memory
  std::shared_ptr<GraphSequence> capture_;
  std::vector<Released> released_;  // during the capture
#ifdef DOPPIO_CUDNN
  cudnnHandle_t dnn_ = nullptr;
#endif
};

AcceleratorInfo describe(int id) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, id), "asking for the device's properties");
  return {id, properties.name, properties.totalGlobalMem,
          str(properties.major, ".", properties.minor)};
}

}  // namespace

std::shared_ptr<Accelerator> open_accelerator(int id) {
  cuda::require_card(id, cuda::survey());
  const AcceleratorInfo info = describe(id);
  check(cudaSetDevice(id), "choosing the device");
  cuda::require_kernels(id, info.name, info.compute_capability, cuda::probe());
  auto device = std::make_shared<CudaDevice>(id);
  device->open();
  return device;
}

std::vector<AcceleratorInfo> list_accelerators() {
  std::vector<AcceleratorInfo> cards;
  const cuda::Survey survey = cuda::survey();
  for (int id = 0; survey.status == cudaSuccess && id < survey.cards; ++id)
    cards.push_back(describe(id));
  return cards;
}

std::string accelerator_support() {
#ifdef DOPPIO_CUDNN
  const std::string dnn =
      cuda::cudnn().why_not.empty() ? cuda::cudnn_version() : cuda::cudnn().why_not;
#else
  const std::string dnn = "no cuDNN in this build";
#endif
#ifdef DOPPIO_NCCL
  const std::string nccl =
      cuda::nccl().why_not.empty() ? cuda::nccl_version() : "no NCCL: " + cuda::nccl().why_not;
#else
  const std::string nccl = "no NCCL in this build";
#endif
  return str(cuda::support(cuda::survey()), "; ", dnn, "; ", nccl);
}

bool built_with_cuda() { return true; }

}  // namespace doppio
