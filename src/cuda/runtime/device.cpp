#include <cublas_v2.h>

#include <memory>
#include <utility>
#include <vector>

#include "cuda/check.hpp"
#ifdef DOPPIO_CUDNN
#include "cuda/runtime/cudnn.hpp"
#endif
#include "cuda/kernels/layout_kernels.hpp"
#include "cuda/runtime/device.hpp"
#include "cuda/runtime/memory_pool.hpp"
#include "cuda/runtime/stream_capture.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using cuda::check;
using cuda::check_blas;
using cuda::GraphSequence;

/// One GPU: a main stream with a memory pool and a cuBLAS handle, a second stream for uploads and a
/// side stream, which both overlap with the main stream.
class CudaDevice final : public Accelerator {
 public:
  explicit CudaDevice(int id) : id_(id) {}
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  /// Does nothing after a sticky error, or if CUDA has shut down, as in destructors of static
  /// objects: cuBLAS and cuDNN might crash, and there is nothing to free.
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
    events_.insert(events_.end(), {reached_, downloaded_, side_done_});
    events_.insert(events_.end(), std::begin(uploaded_), std::end(uploaded_));
    for (const cudaEvent_t event : events_)
      if (event) cudaEventDestroy(event);
    pool_.close();
  }

  void open() {
    use();
    for (cudaStream_t* stream : {&stream_, &uploads_, &side_})
      check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "creating a stream");
    current_ = stream_;
    capture_.open(stream_);
    for (cudaEvent_t* event : {&reached_, &downloaded_, &side_done_}) *event = new_event();
    for (cudaEvent_t& event : uploaded_) event = new_event();
    pool_.open(id_, stream_);
    check_blas(cublasCreate(&blas_), "creating a handle");
    check_blas(cublasSetStream(blas_, stream_), "setting the stream");
    // By default cuBLAS allocates memory for each capture, and may choose other algorithms.
    blas_memory_ = allocate(kBlasMemory);
    check_blas(cublasSetWorkspace(blas_, blas_memory_, kBlasMemory), "setting its workspace");
  }

  int id() const override { return id_; }

  /// Gives GPU number `id` access to this one's memory if the machine supports it.
  void open_to(int id) {
    use();
    int can = 0;
    check(cudaDeviceCanAccessPeer(&can, id, id_), "querying peer access");
    if (can) pool_.open_to(id);
  }

  void* allocate(std::size_t bytes) override {
    use();
    capture_.refuse("taking memory");
    ensure(!capture_.running(),
           "a thread allocates device memory while another one captures its stream");
    return pool_.allocate(bytes, current_);
  }

  void release(void* memory) noexcept override {
    cudaSetDevice(id_);
    capture_.release(memory);
  }

  // The caller may overwrite `host` at once, and CUDA guarantees only after a synchronization that
  // it has been read.
  void to_device(void* device, const void* host, std::size_t bytes) override {
    use();
    capture_.refuse("copying to the device");
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, current_),
          "copying to the device");
    check(cudaStreamSynchronize(current_), "waiting for the device");
  }

  void to_host(void* host, const void* device, std::size_t bytes) override {
    use();
    capture_.refuse("copying to the host");
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
    capture_.refuse("copying to the device");
    check(cudaEventRecord(reached_, stream_), "recording an event");
    check(cudaStreamWaitEvent(uploads_, reached_, 0), "waiting for a stream");
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, uploads_),
          "copying to the device");
    check(cudaEventRecord(uploaded(++upload_count_), uploads_), "recording an event");
    return upload_count_;
  }

  void await_upload(std::uint64_t number) override {
    use();
    if (capture_.running_here()) return;  // graphs are launched after the uploads
    check(cudaStreamWaitEvent(current_, uploaded(number), 0), "waiting for a stream");
  }

  void finish_upload(std::uint64_t number) override {
    use();
    capture_.refuse("waiting for a copy");
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
    capture_.refuse("waiting for a copy");
    check(cudaEventSynchronize(downloaded_), "waiting for a copy");
  }

  void record_event(std::size_t event) override {
    use();
    while (events_.size() <= event) events_.push_back(new_event());
    record(events_[event]);
  }

  void begin_side_stream(std::size_t event) override {
    use();
    check(cudaStreamWaitEvent(side_, events_.at(event), 0), "waiting for a stream");
    current_ = side_;
  }

  void end_side_stream() override {
    use();
    if (std::exchange(current_, stream_) != side_) return;
    check(cudaEventRecord(side_done_, side_), "recording an event");
    check(cudaStreamWaitEvent(stream_, side_done_, 0), "waiting for a stream");
  }

  const std::uint64_t* begin_capture() override {
    use();
    if (!counter_) counter_ = static_cast<std::uint64_t*>(allocate(sizeof *counter_));
    capture_.begin();
    return counter_;
  }

  std::shared_ptr<const DeviceGraph> end_capture() override {
    use();
    return capture_.end(id_);
  }

  void replay(const DeviceGraph& graph, std::uint64_t number) override {
    use();
    cuda::store(stream_, number, counter_);
    static_cast<const GraphSequence&>(graph).launch(stream_);
  }

  void* allocate_host(std::size_t bytes) override {
    use();
    capture_.refuse("taking page-locked memory");
    void* memory = nullptr;
    const cudaError_t status = cudaMallocHost(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw Error(
          str("out of memory: ", bytes,
              " page-locked bytes needed on the host; try a smaller batch_size or prefetch"));
    }
    check(status, "allocating page-locked memory");
    return memory;
  }

  void release_host(void* memory) noexcept override {
    cudaSetDevice(id_);
    capture_.release_host(memory);
  }

  void synchronize() override {
    use();
    capture_.refuse("waiting for the device");
    check(cudaStreamSynchronize(stream_), "waiting for the device");
  }

  void* stream() override {
    use();
    return current_;
  }

  LayoutKernels& layout_kernels() override { return layout_kernels_; }

  cublasHandle_t blas() {
    use();
    return blas_;
  }

  cudnnContext* dnn() {
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
  /// The current device is per thread, and other contexts may have changed it.
  void use() { check(cudaSetDevice(id_), "choosing the device"); }

  static cudaEvent_t new_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
    return event;
  }

  /// Returns an event recorded after an upload, or after a later one.
  cudaEvent_t uploaded(std::uint64_t number) const {
    return uploaded_[number % std::size(uploaded_)];
  }

  void record(cudaEvent_t event) {
    if (capture_.running_here()) return capture_.record(event);
    check(cudaEventRecord(event, current_), "recording an event");
  }

  static constexpr std::size_t kBlasMemory = std::size_t{32} << 20;  // cuBLAS's default on Hopper

  const int id_;
  cudaStream_t stream_ = nullptr, uploads_ = nullptr, side_ = nullptr;
  cudaStream_t current_ = nullptr;  // receives new work: stream_ or side_
  cudaEvent_t reached_ = nullptr, downloaded_ = nullptr, side_done_ = nullptr;
  cudaEvent_t uploaded_[64] = {};  // of the latest uploads
  std::uint64_t upload_count_ = 0;
  std::vector<cudaEvent_t> events_;
  cuda::MemoryPool pool_;
  cuda::CudaLayoutKernels layout_kernels_;
  cublasHandle_t blas_ = nullptr;
  void* blas_memory_ = nullptr;
  std::uint64_t* counter_ = nullptr;
  cuda::StreamCapture capture_;
#ifdef DOPPIO_CUDNN
  cudnnHandle_t dnn_ = nullptr;
#endif
};

CudaDevice& cuda_device(Accelerator& device) { return static_cast<CudaDevice&>(device); }

}  // namespace

std::shared_ptr<Accelerator> cuda::open_device(int id) {
  auto device = std::make_shared<CudaDevice>(id);
  device->open();
  return device;
}

cublasHandle_t cuda::blas(Accelerator& device) { return cuda_device(device).blas(); }
cudnnContext* cuda::dnn(Accelerator& device) { return cuda_device(device).dnn(); }
void cuda::open_memory_to(Accelerator& device, int id) { cuda_device(device).open_to(id); }

}  // namespace doppio
