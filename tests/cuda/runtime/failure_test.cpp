// What happens on GPUs that fail, are too old or are used by several threads.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/communicator.hpp"
#include "cuda/gpu_test.hpp"
#include "cuda/runtime/device.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "emulated_cuda/dnn.hpp"
#include "emulated_cuda/launch.hpp"
#include "net/passes/passes.hpp"
#include "support/log_lines.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class GpuFailure : public GpuTest {
 protected:
  void TearDown() override { cuda::emulated::compute_capability_major = 9; }
};

/// The products of a convolution, its adjoint and an inner product of numbers that TF32 rounds.
std::vector<std::vector<float>> results(Context& ctx, ComputeType type) {
  NetParameter param = parse_prototxt(R"(
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "deconv" type: "Deconvolution" bottom: "data" top: "deconv"
            convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } })",
                                      "net")
                           .net;
  param.set_compute_type(type);
  ctx.seed = 3;
  Net net(ctx, param, NetState());
  float* v = net.blob("data").data.write_host();
  for (Index i = 0; i < net.blob("data").count(); ++i) v[i] = 1 / static_cast<float>(i + 3);
  net.forward();
  return {values(net.blob("conv").data), values(net.blob("deconv").data),
          values(net.blob("fc").data)};
}

TEST_F(GpuFailure, OldGpusComputeInFloat32) {
  const auto expected = results(*ctx, FLOAT32);
  for (const ComputeType type : {TF32, BFLOAT16}) {
    cuda::emulated::compute_capability_major = 8;
    const auto rounded = results(*ctx, type);
    cuda::emulated::compute_capability_major = 7;
    const auto actual = results(*ctx, type);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NE(rounded[i], expected[i]) << "blob " << i;
      EXPECT_EQ(actual[i], expected[i]) << "blob " << i;
    }
  }
}

/// It would become part of the graph.
TEST_F(GpuFailure, OtherThreadsCannotAllocateDuringACapture) {
  Accelerator& device = *ctx->accelerator();
  device.begin_capture();
  std::string error;
  std::thread([&] {
    try {
      device.release(device.allocate(64));
    } catch (const InternalError& e) {
      error = e.what();
    }
  }).join();
  device.end_capture();
  EXPECT_NE(error.find("a thread allocates device memory while another one captures"),
            std::string::npos)
      << error;
}

TEST_F(GpuFailure, ReleasingAFailedOrEndedDeviceDoesNotCallLibraries) {
  for (const cudaError_t error : {cudaErrorIllegalAddress, cudaErrorCudartUnloading}) {
    std::shared_ptr<Accelerator> device = open_accelerator(0);
    cuda::dnn(*device);
    void* memory = device->allocate(64);

    cuda::emulated::broken = error;
    device->release(memory);
    device.reset();  // cuBLAS would crash
    cuda::emulated::broken = cudaSuccess;
  }
}

/// Nor do communicators ask anything of GPUs that have failed.
TEST_F(GpuFailure, CommunicatorsOfFailedGpusAreLeftAlone) {
  if (accelerator_support().find("no NCCL") != std::string::npos) GTEST_SKIP();
  auto communicator = make_communicator({ctx->accelerator(), open_accelerator(1)});
  cuda::emulated::broken = cudaErrorLaunchFailure;
  EXPECT_NO_THROW(communicator.reset());
  cuda::emulated::broken = cudaSuccess;
}

TEST_F(GpuFailure, PassesThatAreNotCapturedAreLoggedOnceWithTheReason) {
  const NetParameter param = parse_prototxt(R"(
    name: "small"
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } })",
                                            "net")
                                 .net;
  Net net(*ctx, param, NetState());
  net.save_memory(Passes::forward);

  const Lines log;
  cuda::emulated::graphs_fail = true;
  for (int i = 0; i < 6; ++i) net.forward();
  cuda::emulated::graphs_fail = false;

  EXPECT_EQ(net.replay_count(), 0u);
  const auto count = [&](const std::string& text) {
    return std::count_if(log.lines.begin(), log.lines.end(),
                         [&](const std::string& line) { return contains(line, text); });
  };
  EXPECT_EQ(count("Passes of net 'small' are not captured"), 1) << log.all();
  EXPECT_EQ(count("GPU 0 cannot be replayed: GPU out of memory, making a graph"), 1) << log.all();
}

}  // namespace
}  // namespace doppio
