#include <cublas_v2.h>

#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/probe.hpp"
#include "cuda/usable.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using cuda::check;
using cuda::check_blas;

/// One card: a stream, a pool of memory and a cuBLAS handle, in which everything happens in the
/// stream's order; and a second stream, whose copies run beside that.
class CudaDevice final : public Accelerator {
 public:
  explicit CudaDevice(int id) : id_(id) {}
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  ~CudaDevice() override {
    cudaSetDevice(id_);
    if (blas_) cublasDestroy(blas_);
    for (const cudaStream_t stream : {stream_, uploads_})
      if (stream) {
        cudaStreamSynchronize(stream);
        cudaStreamDestroy(stream);
      }
    for (const cudaEvent_t event : {reached_, uploaded_})
      if (event) cudaEventDestroy(event);
    if (pool_) cudaMemPoolDestroy(pool_);
  }

  void open() {
    use();
    for (cudaStream_t* stream : {&stream_, &uploads_})
      check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "creating a stream");
    for (cudaEvent_t* event : {&reached_, &uploaded_})
      check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "creating an event");
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.location = {cudaMemLocationTypeDevice, id_};
    check(cudaMemPoolCreate(&pool_, &props), "creating a memory pool");
    std::uint64_t keep = UINT64_MAX;  // freed memory stays with us: the next layer wants it
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
          "setting up a memory pool");
    check_blas(cublasCreate(&blas_), "creating a handle");
    check_blas(cublasSetStream(blas_, stream_), "setting the stream");
  }

  void* allocate(std::size_t bytes) override {
    use();
    void* memory = nullptr;
    cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream_);
    if (status == cudaErrorMemoryAllocation) {  // perhaps the pool holds enough, but in pieces
      cudaGetLastError();
      synchronize();
      check(cudaMemPoolTrimTo(pool_, 0), "giving unused memory back");
      status = cudaMallocFromPoolAsync(&memory, bytes, pool_, stream_);
    }
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total), "asking for the free memory");
      throw Error(cuda::out_of_memory(bytes, free, total));
    }
    check(status, "allocating memory");
    return memory;
  }

  void release(void* memory) noexcept override {
    cudaSetDevice(id_);
    // An error here must not be taken for one of the next launch.
    if (cudaFreeAsync(memory, stream_) != cudaSuccess) cudaGetLastError();
  }

  // The caller may overwrite `host` at once, and CUDA does not promise that it has been read before
  // the stream is through.
  void to_device(void* device, const void* host, std::size_t bytes) override {
    use();
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_),
          "copying to the device");
    synchronize();
  }

  void to_host(void* host, const void* device, std::size_t bytes) override {
    use();
    check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_),
          "copying to the host");
    synchronize();
  }

  void zero(void* device, std::size_t bytes) override {
    use();
    check(cudaMemsetAsync(device, 0, bytes, stream_), "clearing memory");
  }

  void begin_upload(void* device, const void* host, std::size_t bytes) override {
    use();
    check(cudaEventRecord(reached_, stream_), "marking a place in a stream");
    check(cudaStreamWaitEvent(uploads_, reached_, 0), "waiting for a stream");
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, uploads_),
          "copying to the device");
    check(cudaEventRecord(uploaded_, uploads_), "marking a place in a stream");
  }

  void await_uploads() override {
    use();
    check(cudaStreamWaitEvent(stream_, uploaded_, 0), "waiting for a stream");
  }

  void finish_uploads() override {
    use();
    check(cudaEventSynchronize(uploaded_), "waiting for a copy");
  }

  void* allocate_host(std::size_t bytes) override {
    use();
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
    if (cudaFreeHost(memory) != cudaSuccess) cudaGetLastError();
  }

  void synchronize() override {
    use();
    check(cudaStreamSynchronize(stream_), "waiting for the device");
  }

  void* stream() override {
    use();
    return stream_;
  }

  void* blas() override {
    use();
    return blas_;
  }

 private:
  /// The current device belongs to the calling thread, and other contexts may have changed it.
  void use() { check(cudaSetDevice(id_), "choosing the device"); }

  const int id_;
  cudaStream_t stream_ = nullptr, uploads_ = nullptr;
  cudaEvent_t reached_ = nullptr, uploaded_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  cublasHandle_t blas_ = nullptr;
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

std::string accelerator_support() { return cuda::support(cuda::survey()); }

bool built_with_cuda() { return true; }

}  // namespace doppio
