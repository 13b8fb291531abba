#include "core/thread_peers.hpp"
#include "doppio.pb.h"
#include "support/layer_harness.hpp"
#include "support/on_threads.hpp"

namespace doppio {
namespace {

class ModelParts : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ModelParts, testing::ValuesIn(test_devices()), device_test_name);

using Floats = std::vector<float>;

/// What one part reads and writes. The layer has one bottom and one top.
struct Part {
  Floats x{}, y{}, dy{}, dx{};
};

/// Runs a layer of `type` forward and backward in several parts.
void run(Device device, const std::string& type, const Shape& bottom, std::vector<Part>& parts) {
  ThreadPeers peers(static_cast<int>(parts.size()));
  on_threads(peers.parts(), [&](int p) {
    Context cpu;
    std::unique_ptr<Context> gpu;
    if (device == Device::cuda) gpu = std::make_unique<Context>(open_accelerator(0));
    Context& ctx = gpu ? *gpu : cpu;
    ctx.peers = &peers.part(p);
    Part& part = parts[static_cast<std::size_t>(p)];
    LayerParameter param;
    param.set_type(type);
    const auto layer = LayerRegistry::instance().find(type, device).make(param);
    Blob x, y;
    Blob *const bottoms[] = {&x}, *const tops[] = {&y};
    const bool wanted[] = {true};
    x.reshape(bottom);
    layer->reshape(ctx, bottoms, tops);
    set_values(x.data, part.x);
    layer->forward(ctx, bottoms, tops);
    part.y = values(y.data);
    set_values(y.grad, part.dy);
    layer->backward(ctx, tops, wanted, bottoms);
    part.dx = values(x.grad);
  });
}

TEST_P(ModelParts, GatherPutsTheSlicesOfEachItemInOrder) {
  // Two items, of which each part holds one channel of two values.
  std::vector<Part> parts(3);
  for (int p = 0; p < 3; ++p) {
    const auto ten = static_cast<float>(10 * p);
    parts[static_cast<std::size_t>(p)].x = {ten + 1, ten + 2, ten + 3, ten + 4};
    parts[static_cast<std::size_t>(p)].dy = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  }
  run(GetParam(), "PartGather", {2, 1, 2}, parts);
  for (const Part& part : parts)
    EXPECT_EQ(part.y, (Floats{1, 2, 11, 12, 21, 22,  //
                              3, 4, 13, 14, 23, 24}));
  EXPECT_EQ(parts[0].dx, (Floats{1, 2, 7, 8}));
  EXPECT_EQ(parts[1].dx, (Floats{3, 4, 9, 10}));
  EXPECT_EQ(parts[2].dx, (Floats{5, 6, 11, 12}));
}

TEST_P(ModelParts, GatherCopiesAddsTheGradientsOfASlice) {
  std::vector<Part> parts = {{.x = {1, 2}, .dy = {1, 2, 3, 4}},
                             {.x = {3, 4}, .dy = {10, 20, 30, 40}}};
  run(GetParam(), "PartGatherCopies", {2, 1}, parts);
  for (const Part& part : parts) EXPECT_EQ(part.y, (Floats{1, 3, 2, 4}));
  EXPECT_EQ(parts[0].dx, (Floats{11, 33}));
  EXPECT_EQ(parts[1].dx, (Floats{22, 44}));
}

TEST_P(ModelParts, CopiesAddTheGradientsInTheOrderOfTheParts) {
  // In float, 1e8 + 1 - 1e8 is 0, and 1e8 - 1e8 + 1 is 1.
  std::vector<Part> parts = {{.x = {7, 8}, .dy = {1e8f, 1}},
                             {.x = {7, 8}, .dy = {1, 10}},
                             {.x = {7, 8}, .dy = {-1e8f, 100}}};
  run(GetParam(), "PartCopies", {1, 2}, parts);
  for (const Part& part : parts) {
    EXPECT_EQ(part.y, (Floats{7, 8}));
    EXPECT_EQ(part.dx, (Floats{0, 111}));
  }
}

TEST_P(ModelParts, GatherNeedsChannels) {
  EXPECT_ERROR(LayerHarness("type: 'PartGather'", {{3}}, {.device = GetParam()}),
               "needs a bottom with channels (N x C x ...), not 3");
}

}  // namespace
}  // namespace doppio
