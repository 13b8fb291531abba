#include <numeric>

#include "core/accelerator.hpp"
#include "cuda/gpu_test.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "net/passes/passes.hpp"

namespace doppio {
namespace {

class DeviceTest : public GpuTest {};

TEST_F(DeviceTest, ValuesSurviveTheRoundTrip) {
  std::vector<float> sent(100000);
  std::iota(sent.begin(), sent.end(), 0.0f);
  Tensor tensor;
  tensor.reshape({100000});
  set_values(tensor, sent);
  tensor.update(*ctx);  // now the device is the only owner
  EXPECT_EQ(values(tensor), sent);
}

TEST_F(DeviceTest, NeverWrittenReadsAsZeros) {
  Tensor tensor;
  tensor.reshape({1000});
  tensor.update(*ctx);
  EXPECT_EQ(values(tensor), std::vector<float>(1000, 0.0f));
}

TEST_F(DeviceTest, TwoContextsOnOneGpuDoNotMeet) {
  Context other(open_accelerator(0));
  Tensor tensor;
  tensor.reshape({2});
  set_values(tensor, {1, 2});
  tensor.update(*ctx);
  tensor.update(other);
  EXPECT_EQ(values(tensor), (std::vector<float>{1, 2}));
}

TEST_F(DeviceTest, HarnessesShareOneGpu) {
  for (int i = 0; i < 2; ++i) {
    LayerHarness relu("type: 'ReLU'", {{2}}, {.device = Device::cuda});
    EXPECT_EQ(relu.ctx().accelerator(), ctx->accelerator());
  }
}

TEST_F(DeviceTest, RunningOutOfMemoryIsAnErrorAndTheDeviceLivesOn) {
  const std::string error = error_of([&] { ctx->accelerator()->allocate(std::size_t{1} << 45); });
  EXPECT_NE(error.find("GPU out of memory: 33554432 MiB needed"), std::string::npos) << error;
  EXPECT_NE(error.find("try a smaller batch_size"), std::string::npos) << error;
  void* memory = ctx->accelerator()->allocate(1024);
  EXPECT_NE(memory, nullptr);
  ctx->accelerator()->release(memory);
}

TEST_F(DeviceTest, ANetThatDoesNotFitSaysWhatWould) {
  const Index side = 1 << 16;  // 192 MiB for each layer and image
  NetParameter param = parse_prototxt(str(R"(
    name: "wide"
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1000 dim: 6 dim: )",
                                          side, " dim: ", side / 512, R"( } } }
    layer { name: "sum" type: "Power" bottom: "data" top: "sum" power_param { shift: 1 } })"),
                                      "wide.prototxt")
                           .net;
  Net net(*ctx, param, NetState());
  const std::string error = error_of([&] { net.forward(); });
  EXPECT_NE(error.find("layer 'data' (Input): GPU out of memory"), std::string::npos) << error;
  EXPECT_NE(error.find("net 'wide' needs 0 MiB for parameters, their gradients and momentum, "
                       "384000 MiB for blobs"),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("instead of 1000 should fit"), std::string::npos) << error;
}

TEST_F(DeviceTest, GpusAreListed) {
  const std::vector<AcceleratorInfo> gpus = list_accelerators();
  ASSERT_FALSE(gpus.empty());
  EXPECT_EQ(gpus[0].id, 0);
  EXPECT_FALSE(gpus[0].name.empty());
  EXPECT_GT(gpus[0].memory_bytes, std::size_t{1} << 30);
  const int beyond = static_cast<int>(gpus.size());
  EXPECT_ERROR(open_accelerator(beyond), "this machine has");
}

}  // namespace
}  // namespace doppio
