#include "core/layout.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"
#include "support/counting_accelerator.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

const Index B = channel_block();

class LayoutTest : public testing::Test {
 protected:
  LayoutTest() {
    tensor.reshape({2, 2 * B, 1, 3});
    std::iota(nchw.begin(), nchw.end(), 0.0f);
    set_values(tensor, nchw);
  }

  /// Where value (n, c, w) of `tensor` lies among its blocks.
  static Index place(Index n, Index c, Index w) { return ((n * 2 + c / B) * 3 + w) * B + c % B; }

  std::shared_ptr<CountingAccelerator> device = std::make_shared<CountingAccelerator>();
  Context cpu, gpu{device};
  Tensor tensor;
  std::vector<float> nchw = std::vector<float>(static_cast<std::size_t>(12 * B));
};

TEST_F(LayoutTest, BlocksHoldNeighbouringChannelsSideBySide) {
  const float* blocked = tensor.read(cpu, Layout::nchw_blocked);
  for (Index n = 0; n < 2; ++n)
    for (Index c = 0; c < 2 * B; ++c)
      for (Index w = 0; w < 3; ++w)
        EXPECT_EQ(blocked[place(n, c, w)], static_cast<float>((n * 2 * B + c) * 3 + w));
}

TEST_F(LayoutTest, ReadingKeepsBothFormsAndPrefersBlocks) {
  EXPECT_EQ(tensor.layout(), Layout::nchw);
  const float* before = tensor.read(cpu);
  tensor.read(cpu, Layout::nchw_blocked);
  EXPECT_EQ(tensor.layout(), Layout::nchw_blocked);
  EXPECT_EQ(tensor.read(cpu), before);
  expect_values(tensor, nchw);
}

TEST_F(LayoutTest, UpdatedBlocksReachNchw) {
  tensor.update(cpu, Layout::nchw_blocked)[place(1, B + 1, 2)] = -5;
  nchw[static_cast<std::size_t>((3 * B + 1) * 3 + 2)] = -5;
  expect_values(tensor, nchw);
  tensor.update(cpu)[0] = 7;
  EXPECT_EQ(tensor.layout(), Layout::nchw);
  EXPECT_EQ(tensor.read(cpu, Layout::nchw_blocked)[0], 7.0f);
}

TEST_F(LayoutTest, WrittenBlocksAreTheOnlyOwner) {
  std::fill_n(tensor.write(cpu, Layout::nchw_blocked), tensor.count(), 3.0f);
  EXPECT_EQ(tensor.layout(), Layout::nchw_blocked);
  expect_values(tensor, std::vector<float>(nchw.size(), 3.0f));
}

TEST_F(LayoutTest, ViewsOfAnotherShapeSeeTheSameValues) {
  tensor.update(cpu, Layout::nchw_blocked);
  Tensor flat;
  flat.reshape({2, 6 * B});
  flat.share(tensor);
  EXPECT_EQ(flat.layout(), Layout::nchw);
  expect_values(flat, nchw);
  Tensor other;
  other.reshape({1, 4 * B, 3, 1});
  tensor.update(cpu, Layout::nchw_blocked);
  other.share(tensor);
  EXPECT_EQ(other.layout(), Layout::nchw);
  EXPECT_EQ(other.read(cpu, Layout::nchw_blocked)[B], 1.0f);
}

TEST_F(LayoutTest, BlocksTravelToTheDeviceAndBack) {
  tensor.update(cpu, Layout::nchw_blocked)[0] = 9;
  EXPECT_EQ(tensor.read(gpu)[0], 9.0f);
  EXPECT_EQ(device->uploads, 1);
  tensor.update(gpu)[1] = 8;
  EXPECT_EQ(tensor.layout(), Layout::nchw);
  EXPECT_EQ(tensor.read(cpu, Layout::nchw_blocked)[B], 8.0f);
  EXPECT_EQ(device->downloads, 1);
}

TEST_F(LayoutTest, NeverWrittenReadsAsZeros) {
  Tensor fresh;
  fresh.reshape({1, B, 2, 2});
  const float* blocked = fresh.read(cpu, Layout::nchw_blocked);
  for (Index i = 0; i < fresh.count(); ++i) EXPECT_EQ(blocked[i], 0.0f);
}

TEST_F(LayoutTest, OnlyFourAxesOfWholeBlocksCanBeBlocked) {
  EXPECT_TRUE(tensor.can_block());
  for (const Shape& shape : {Shape{1, B + 1, 2, 2}, Shape{B, B}, Shape{1, B, 2, 2, 2}}) {
    Tensor t;
    t.reshape(shape);
    EXPECT_FALSE(t.can_block());
    EXPECT_THROW(t.read(cpu, Layout::nchw_blocked), InternalError);
  }
  EXPECT_THROW(tensor.read(gpu, Layout::nchw_blocked), InternalError);
}

TEST(CpuIsaTest, IsAtMostWhatTheEnvironmentAllows) {
  const char* const allowed = std::getenv("DOPPIO_MAX_ISA");
  const bool held_down = allowed && std::string(allowed) == "baseline";
  if (held_down) {
    EXPECT_EQ(cpu_isa(), Isa::baseline);
  }
  EXPECT_EQ(channel_block(), cpu_isa() == Isa::avx512 ? 16 : 8);
  EXPECT_STREQ(isa_name(Isa::avx2), "avx2");
}

}  // namespace
}  // namespace doppio
