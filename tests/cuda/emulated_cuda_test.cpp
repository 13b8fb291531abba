// What a real GPU refuses, the emulated one refuses as well.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <thread>

#include "core/accelerator.hpp"
#include "cuda/gpu_test.hpp"
#include "cuda/kernels/launch.hpp"
#include "emulated_cuda/dnn.hpp"

namespace doppio {
namespace {

void do_nothing(int) {}

class EmulatedCuda : public testing::Test {
 protected:
  EmulatedCuda() {
    cudaSetDevice(0);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
  ~EmulatedCuda() override {
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
    cudaStreamDestroy(stream);
    cudaGetLastError();
  }

  void begin_capture() {
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  }
  /// Ends the capture and returns how it went.
  cudaError_t end_capture() {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream, &graph);
    if (graph) cudaGraphDestroy(graph);
    return status;
  }

  cudaStream_t stream = nullptr, other = nullptr;
  cudaEvent_t event = nullptr;
};

TEST_F(EmulatedCuda, CapturesMayNotWaitForEventsFromOutside) {
  cudaEventRecord(event, other);
  begin_capture();
  EXPECT_EQ(cudaStreamWaitEvent(stream, event, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end_capture(), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event, 0), cudaSuccess);
}

TEST_F(EmulatedCuda, CapturesMayNotWaitForTheirStream) {
  begin_capture();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_capture(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(EmulatedCuda, CapturesMayNotTakeMemory) {
  cudaMemPoolProps props{};
  cudaMemPool_t pool = nullptr;
  cudaMemPoolCreate(&pool, &props);
  void* memory = nullptr;
  begin_capture();
  EXPECT_EQ(cudaMallocFromPoolAsync(&memory, 4, pool, stream), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_capture(), cudaErrorStreamCaptureInvalidated);
  begin_capture();
  EXPECT_EQ(cudaMallocHost(&memory, 4), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_capture(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(EmulatedCuda, OtherThreadsMayNotAddToACapture) {
  begin_capture();
  std::thread([&] {
    EXPECT_THROW(cuda::start(stream, {.blocks = 1}, do_nothing, 0), InternalError);
    EXPECT_EQ(end_capture(), cudaErrorStreamCaptureWrongThread);
  }).join();
  EXPECT_EQ(end_capture(), cudaSuccess);
}

TEST_F(EmulatedCuda, CapturedStreamsMayNotBeDestroyed) {
  begin_capture();
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_capture(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(EmulatedCuda, KernelsAreRefusedOnceACaptureIsInvalid) {
  begin_capture();
  cudaStreamSynchronize(stream);
  cudaGetLastError();
  EXPECT_THROW(cuda::start(stream, {.blocks = 1}, do_nothing, 0), InternalError);
  end_capture();
}

TEST_F(EmulatedCuda, EventsAndStreamsOfTwoDevicesDoNotMix) {
  cudaStream_t on_second = nullptr;
  cudaSetDevice(1);
  cudaStreamCreateWithFlags(&on_second, cudaStreamNonBlocking);
  EXPECT_EQ(cudaEventRecord(event, on_second), cudaErrorInvalidResourceHandle);
  cudaStreamDestroy(on_second);
  cudaSetDevice(0);
}

TEST_F(EmulatedCuda, ErrorsAreRememberedUntilAskedFor) {
  EXPECT_EQ(cudaSetDevice(99), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_THROW(cuda::start(stream, {.blocks = 1}, do_nothing, 0), InternalError)
      << "takes the blame";
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(EmulatedCuda, LaunchesHaveLimits) {
  for (const cuda::Grid& grid :
       {cuda::Grid{.blocks = 0}, cuda::Grid{.blocks = 1u << 31},
        cuda::Grid{.blocks = 1, .threads = 1025}, cuda::Grid{.blocks = 1, .threads = {64, 32}},
        cuda::Grid{.blocks = 1, .threads = {0, 32}}}) {
    EXPECT_THROW(cuda::start(stream, grid, do_nothing, 0), InternalError);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "it was forgotten with the exception";
  }
  EXPECT_NO_THROW(cuda::start(stream, {.blocks = 1, .threads = {32, 32}}, do_nothing, 0));
}

/// Whatever is asked for after a kernel has crashed fails and says why, and closing does not.
void use_a_broken_gpu() {
  {
    Context ctx(open_accelerator(0));
    Accelerator& gpu = *ctx.accelerator();
    Tensor tensor;
    tensor.reshape({2});
    tensor.update(ctx);
    void* pinned = gpu.allocate_host(8);
    cuda::emulated::broken = cudaErrorIllegalAddress;
    for (int i = 0; i < 2; ++i) try {
        tensor.read_host();
        std::_Exit(1);
      } catch (const InternalError& e) {
        if (std::string(e.what()).find("illegal memory access") == std::string::npos) std::_Exit(2);
      }
    gpu.release_host(pinned);
  }
  std::_Exit(cudaGetLastError() == cudaErrorIllegalAddress ? 0 : 3);
}

TEST_F(EmulatedCuda, CrashesOfKernelsAreForGood) {
  EXPECT_EXIT(use_a_broken_gpu(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace doppio
