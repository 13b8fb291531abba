#include "doppio/tensor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "core/arena.hpp"
#include "core/bf16.hpp"
#include "core/graph_capture.hpp"
#include "doppio/error.hpp"
#include "support/counting_accelerator.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class TensorTest : public testing::Test {
 protected:
  TensorTest() { tensor.reshape({2, 3}); }

  int copies() const { return device->uploads + device->downloads; }

  std::shared_ptr<CountingAccelerator> device = std::make_shared<CountingAccelerator>();
  Context cpu, gpu{device};
  Tensor tensor;
};

TEST_F(TensorTest, TakesNoMemoryUntilItIsTouched) {
  EXPECT_FALSE(tensor.allocated());
  EXPECT_EQ(tensor.bytes(), 24);
  tensor.read(cpu);
  EXPECT_TRUE(tensor.allocated());
  EXPECT_EQ(device->allocations, 0);
}

TEST_F(TensorTest, DeviceMemoryIsTakenOnceAndGivenBack) {
  {
    Tensor local;
    local.reshape({4});
    local.write(gpu);
    local.read(gpu);
    local.update(gpu);
    EXPECT_EQ(device->allocations, 1);
    EXPECT_EQ(device->releases, 0);
  }
  EXPECT_EQ(device->releases, 1);
}

TEST_F(TensorTest, NeverWrittenReadsAsZeros) {
  expect_values(tensor, {0, 0, 0, 0, 0, 0});
  Tensor on_device;
  on_device.reshape({2});
  EXPECT_EQ(on_device.read(gpu)[1], 0.0f);
  EXPECT_EQ(device->clears, 1);
  on_device.update(gpu)[0] = 1;
  EXPECT_EQ(device->clears, 1);
  expect_values(on_device, {1, 0});
}

TEST_F(TensorTest, HostValuesReachTheDeviceInOneCopy) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(tensor.read(gpu)[5], 6.0f);
  tensor.read(gpu);
  tensor.read_host();
  EXPECT_EQ(device->uploads, 1);
  EXPECT_EQ(device->downloads, 0);
  EXPECT_EQ(device->clears, 0);
}

TEST_F(TensorTest, DeviceValuesReachTheHostInOneCopy) {
  std::fill_n(tensor.write(gpu), 6, 7.0f);
  expect_values(tensor, {7, 7, 7, 7, 7, 7});
  tensor.read_host();
  tensor.read(gpu);
  EXPECT_EQ(device->downloads, 1);
  EXPECT_EQ(device->uploads, 0);
}

TEST_F(TensorTest, WritingCopiesNothingAndOutdatesTheOtherSide) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  tensor.write(gpu)[0] = 9;
  EXPECT_EQ(copies(), 0);
  EXPECT_EQ(tensor.read_host()[0], 9.0f);
  EXPECT_EQ(device->downloads, 1);
  tensor.write_host()[0] = 10;
  EXPECT_EQ(copies(), 1);
  EXPECT_EQ(tensor.read(gpu)[0], 10.0f);
  EXPECT_EQ(device->uploads, 1);
}

TEST_F(TensorTest, UpdatingBringsTheContentsAndOutdatesTheOtherSide) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  tensor.update(gpu)[0] = 9;
  EXPECT_EQ(device->uploads, 1);
  tensor.update(gpu)[1] = 8;
  EXPECT_EQ(device->uploads, 1);
  expect_values(tensor, {9, 8, 3, 4, 5, 6});
  tensor.update_host()[5] = 0;
  EXPECT_EQ(device->downloads, 1);
  EXPECT_EQ(tensor.read(gpu)[5], 0.0f);
  EXPECT_EQ(device->uploads, 2);
}

TEST_F(TensorTest, ContentsSurviveReshapesThatDoNotGrow) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  const float* before = tensor.read_host();
  tensor.reshape({2});
  expect_values(tensor, {1, 2});
  tensor.reshape({3, 2});
  EXPECT_EQ(tensor.read_host(), before);
  expect_values(tensor, {1, 2, 3, 4, 5, 6});
}

TEST_F(TensorTest, GrowingGivesMemoryBackAndReadsAsZeros) {
  std::fill_n(tensor.write(gpu), 6, 7.0f);
  tensor.reshape({7});
  EXPECT_EQ(device->releases, 1);
  EXPECT_FALSE(tensor.allocated());
  expect_values(tensor, {0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(copies(), 0);
}

TEST_F(TensorTest, ViewsSeeEachOther) {
  Tensor view;
  view.reshape({6});
  view.share(tensor);
  EXPECT_TRUE(view.shares_memory_with(tensor));
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  view.update(gpu)[2] = 30;
  expect_values(tensor, {1, 2, 30, 4, 5, 6});
  EXPECT_EQ(device->allocations, 1);
  EXPECT_EQ(view.shape(), Shape{6});
  EXPECT_EQ(tensor.shape(), (Shape{2, 3}));
}

TEST_F(TensorTest, TheVersionChangesWithTheContents) {
  std::uint64_t before = tensor.version();
  const auto changed = [&] {
    const std::uint64_t old = std::exchange(before, tensor.version());
    return old != before;
  };
  tensor.read(cpu);
  tensor.read(gpu);
  EXPECT_FALSE(changed()) << "copies are the same contents";
  tensor.write(cpu);
  EXPECT_TRUE(changed());
  tensor.update(gpu);
  EXPECT_TRUE(changed());
  tensor.update_host();
  EXPECT_TRUE(changed());
  tensor.write_host();
  EXPECT_TRUE(changed());
  tensor.reshape({3, 2});
  EXPECT_FALSE(changed());
  tensor.reshape({3, 3});
  EXPECT_TRUE(changed()) << "grown, it reads as zeros";
  Tensor other;
  other.reshape({3, 3});
  EXPECT_NE(other.version(), tensor.version()) << "no two tensors have the same";
  tensor.share(other);
  EXPECT_TRUE(changed());
  other.update(cpu);
  EXPECT_TRUE(changed()) << "through a view";
}

TEST_F(TensorTest, AViewCannotBeLargerThanWhatItViews) {
  Tensor view;
  view.reshape({7});
  EXPECT_THROW(view.share(tensor), InternalError);
  view.reshape({1});
  EXPECT_NO_THROW(view.share(tensor));
}

TEST_F(TensorTest, MovesBetweenTwoAccelerators) {
  const auto other_device = std::make_shared<CountingAccelerator>();
  const Context other{other_device};
  std::fill_n(tensor.write(gpu), 6, 7.0f);
  EXPECT_EQ(tensor.read(other)[5], 7.0f);
  EXPECT_EQ(device->downloads, 1);
  EXPECT_EQ(device->releases, 1);
  EXPECT_EQ(other_device->uploads, 1);
  tensor.write(gpu)[0] = 1;  // contents undefined, so nothing travels back
  EXPECT_EQ(other_device->downloads, 0);
  EXPECT_EQ(other_device->releases, 1);
  EXPECT_EQ(device->uploads, 0);
}

TEST_F(TensorTest, APrefetchIsOneCopyThatReadersOnTheDeviceWaitFor) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  tensor.prefetch_to_device(gpu);
  tensor.prefetch_to_device(gpu);
  EXPECT_EQ(device->uploads, 0);
  EXPECT_EQ(tensor.read(gpu)[5], 6.0f);
  EXPECT_EQ(device->uploads, 1);
  expect_values(tensor, {1, 2, 3, 4, 5, 6});  // the host's copy is still current
  EXPECT_EQ(copies(), 1);
  tensor.prefetch_to_device(cpu);
  EXPECT_EQ(copies(), 1);
}

TEST_F(TensorTest, TheHostWritesOnlyAfterAPrefetchIsThrough) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  tensor.prefetch_to_device(gpu);
  tensor.read_host();
  EXPECT_EQ(device->finished, 0);
  tensor.update_host()[0] = 7;
  EXPECT_EQ(device->finished, 1);
  tensor.prefetch_to_device(gpu);
  EXPECT_EQ(tensor.read(gpu)[0], 7.0f);
}

TEST_F(TensorTest, MemoryIsGivenBackOnlyAfterAPrefetchIsThrough) {
  {
    Tensor local;
    local.reshape({4});
    local.write_host();
    local.prefetch_to_device(gpu);
  }
  EXPECT_EQ(device->finished, 1);
  EXPECT_EQ(device->releases, 1);
}

TEST_F(TensorTest, NhwcIsConvertedToOnce) {
  tensor.reshape({2, 3, 1, 2});
  set_values(tensor, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const float* last = tensor.read(gpu, Layout::nhwc);
  EXPECT_EQ(std::vector<float>(last, last + 6), (std::vector<float>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(tensor.layout(), Layout::nhwc);
  EXPECT_EQ(tensor.read(gpu, Layout::nhwc), last);
  EXPECT_EQ(tensor.read(gpu)[11], 12);
  EXPECT_EQ(device->conversions, 1);
}

TEST_F(TensorTest, WhatIsWrittenInNhwcIsReadAnywhere) {
  tensor.reshape({1, 2, 1, 2});
  const float values[] = {1, 2, 3, 4};
  std::copy(values, values + 4, tensor.write(gpu, Layout::nhwc));
  expect_values(tensor, {1, 3, 2, 4});
  tensor.update(gpu)[0] = 5;
  EXPECT_EQ(tensor.layout(), Layout::nchw);
  EXPECT_EQ(tensor.read(gpu, Layout::nhwc)[0], 5);
  tensor.update(cpu)[1] = 6;
  EXPECT_EQ(tensor.read(gpu, Layout::nhwc)[2], 6);
}

TEST_F(TensorTest, Bf16RoundsAndGoesBack) {
  tensor.reshape({1, 1, 1, 2});
  set_values(tensor, {1.0f, 1.001f});
  const Bf16* rounded = tensor.read<Bf16>(gpu, Layout::nhwc);
  EXPECT_EQ(float{rounded[0]}, 1.0f);
  EXPECT_EQ(float{rounded[1]}, 1.0f);
  expect_values(tensor, {1.0f, 1.001f}, 0);  // reading changes nothing
  tensor.update<Bf16>(gpu, Layout::nhwc)[0] = Bf16(2.0f);
  EXPECT_EQ(tensor.layout(), Layout::nhwc);
  EXPECT_EQ(tensor.element(), Element::bf16);
  expect_values(tensor, {2, 1}, 0);
  Tensor view;  // of another shape: channels are others
  view.reshape({1, 2, 1, 1});
  view.share(tensor);
  EXPECT_EQ(view.layout(), Layout::nchw);
  EXPECT_EQ(view.element(), Element::f32);
  EXPECT_EQ(view.read(gpu, Layout::nhwc)[1], 1);
}

TEST_F(TensorTest, FloatsAndBf16sMayBothBeCurrent) {
  tensor.reshape({1, 1, 1, 2});
  std::fill_n(tensor.write(gpu, Layout::nhwc), 2, 1.001f);
  EXPECT_EQ(tensor.element(), Element::f32);
  EXPECT_EQ(float{tensor.read<Bf16>(gpu, Layout::nhwc)[0]}, 1.0f);
  EXPECT_EQ(tensor.element(), Element::bf16);
  EXPECT_EQ(tensor.read(gpu, Layout::nhwc)[0], 1.001f);
  EXPECT_EQ(device->casts, 1);
  EXPECT_EQ(device->conversions, 0);
}

TEST_F(TensorTest, Bf16IsForNhwcOnAccelerators) {
  tensor.reshape({1, 1, 1, 2});
  EXPECT_THROW(tensor.read<Bf16>(gpu), InternalError);
  EXPECT_THROW(tensor.read<Bf16>(cpu, Layout::nhwc), InternalError);
  tensor.reshape({2});
  EXPECT_THROW(tensor.read<Bf16>(gpu, Layout::nhwc), InternalError);
}

TEST_F(TensorTest, FetchingIsWaitedForWhereItIsRead) {
  tensor.pin(gpu);
  tensor.reshape({2});
  std::fill_n(tensor.write(gpu), 2, 3.0f);
  tensor.prefetch_to_host(gpu);
  EXPECT_EQ(device->downloads, 0);
  expect_values(tensor, {3, 3});
  EXPECT_EQ(device->downloads, 1);
  Tensor pageable;
  pageable.reshape({2});
  pageable.write(gpu);
  pageable.prefetch_to_host(gpu);  // would wait: left to the reader
  pageable.read_host();
  EXPECT_EQ(device->downloads, 2);
}

TEST_F(TensorTest, GraphsAreReplayableWhileNothingMoves) {
  Tensor in, out;
  for (Tensor* t : {&in, &out}) t->reshape({2});
  in.write(gpu);
  out.write(gpu);
  GraphCapture capture;
  in.read(gpu);
  out.write(gpu);
  capture.stop();
  EXPECT_TRUE(capture.replayable_now());
  out.read_host();
  in.update(gpu);
  EXPECT_TRUE(capture.replayable_now());
  const std::uint64_t before = out.version();
  capture.mark_replayed();
  EXPECT_NE(out.version(), before);
  out.read_host();
  EXPECT_EQ(device->downloads, 2) << "what was read before is out of date";
  in.update_host();
  EXPECT_FALSE(capture.replayable_now()) << "the device's copy is out of date";
  in.read(gpu);
  EXPECT_TRUE(capture.replayable_now());
  in.reshape({4096});  // so many that they cannot lie in the same place
  in.write(gpu);
  EXPECT_FALSE(capture.replayable_now()) << "it has moved";
}

TEST_F(TensorTest, ClearedTensorsAreZerosUntilSomebodyWrites) {
  Tensor never;
  never.reshape({2});
  EXPECT_TRUE(never.is_lazily_zero());
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  EXPECT_FALSE(tensor.is_lazily_zero());
  const std::uint64_t before = tensor.version();
  tensor.zero_lazily();
  EXPECT_TRUE(tensor.is_lazily_zero());
  EXPECT_NE(tensor.version(), before);
  expect_values(tensor, {0, 0, 0, 0, 0, 0});
  EXPECT_FALSE(tensor.is_lazily_zero());

  tensor.update(gpu);
  tensor.zero_lazily();
  const int clears = device->clears;
  tensor.write(gpu);
  EXPECT_EQ(device->clears, clears) << "who writes needs no zeros";
  EXPECT_FALSE(tensor.is_lazily_zero());
  tensor.zero_lazily();
  tensor.update(gpu);
  EXPECT_EQ(device->clears, clears + 1);
  expect_values(tensor, {0, 0, 0, 0, 0, 0});
}

TEST_F(TensorTest, CapturesTellClearedTensorsFromOthers) {
  tensor.update(gpu);
  tensor.zero_lazily();
  GraphCapture capture;
  EXPECT_TRUE(tensor.is_lazily_zero());
  tensor.write(gpu);
  capture.stop();
  EXPECT_FALSE(capture.replayable_now()) << "it would be added to now";
  tensor.zero_lazily();
  EXPECT_TRUE(capture.replayable_now());
}

TEST_F(TensorTest, GraphsAreReplayableWhileTheHostReadsTheSame) {
  set_values(tensor, {1, 2, 3, 4, 5, 6});
  GraphCapture capture;
  tensor.read_host();
  capture.stop();
  EXPECT_TRUE(capture.replayable_now());
  set_values(tensor, {6, 5, 4, 3, 2, 1});
  EXPECT_FALSE(capture.replayable_now());
}

TEST_F(TensorTest, GraphsAreReplayableWhileVersionsAreTheSame) {
  tensor.write(gpu);
  GraphCapture capture;
  tensor.version();
  capture.stop();
  tensor.read(gpu);
  EXPECT_TRUE(capture.replayable_now());
  tensor.update(gpu);
  EXPECT_FALSE(capture.replayable_now());
}

TEST_F(TensorTest, WhatWasNotDoneAfterAllIsUndone) {
  tensor.reshape({1, 2, 1, 1});
  tensor.write(gpu);
  tensor.read(gpu, Layout::nhwc);
  tensor.update(gpu);
  GraphCapture capture;
  tensor.read(gpu, Layout::nhwc);
  capture.undo();
  EXPECT_EQ(tensor.layout(), Layout::nchw);
  EXPECT_EQ(device->conversions, 2);
  tensor.read(gpu, Layout::nhwc);
  EXPECT_EQ(device->conversions, 3);
}

TEST_F(TensorTest, PinnedMemoryIsTheAccelerators) {
  {
    Tensor local;
    local.pin(cpu);
    local.pin(gpu);
    local.reshape({4});
    set_values(local, {1, 2, 3, 4});
    EXPECT_EQ(device->host_allocations, 1);
    EXPECT_EQ(local.read(gpu)[3], 4.0f);
  }
  EXPECT_EQ(device->host_releases, 1);
}

TEST(Tensor, OutlivesTheContextThatHoldsItsMemory) {
  Tensor tensor;
  tensor.reshape({1});
  std::weak_ptr<Accelerator> device;
  {
    const Context gpu(std::make_shared<CountingAccelerator>());
    device = gpu.accelerator();
    tensor.write(gpu)[0] = 5;
  }
  expect_values(tensor, {5});
  tensor = Tensor();
  EXPECT_TRUE(device.expired());
}

TEST(Tensor, EmptyIsFineOnBothSides) {
  const Context gpu(std::make_shared<CountingAccelerator>());
  Tensor tensor;
  tensor.reshape({0, 3});
  EXPECT_NO_THROW(tensor.update_host());
  EXPECT_NO_THROW(tensor.update(gpu));
  EXPECT_NO_THROW(tensor.read_host());
}

TEST(Tensor, WithoutAShapeIsAScalar) {
  Tensor tensor, view;
  view.share(tensor);
  set_values(tensor, {3});
  expect_values(view, {3});
}

TEST(Tensor, TakesTurnsInAnArena) {
  const auto arena = std::make_shared<Arena>(1 << 20);
  Tensor a, b;
  for (Tensor* t : {&a, &b}) t->reshape({100});
  a.use_arena(arena, "blob 'a'");
  b.use_arena(arena, "blob 'b'");
  const float* memory = a.write_host();
  a.release();
  EXPECT_FALSE(a.allocated());
  EXPECT_EQ(b.write_host(), memory);
  EXPECT_NE(a.write_host(), memory);
  EXPECT_EQ(arena->peak(), 2u * 448);
}

TEST(Tensor, ReadingTooLateIsAnErrorUntilItIsWrittenAgain) {
  Tensor tensor, view;
  tensor.reshape({2});
  view.share(tensor);
  tensor.use_arena(std::make_shared<Arena>(4096), "blob 'a'");
  set_values(tensor, {1, 2});
  view.release();
  EXPECT_TRUE(tensor.is_released());
  EXPECT_EQ(error_of([&] { tensor.read_host(); }),
            "blob 'a' was released after its last use, because the net saves memory; name the blob "
            "in `keep` of Net::save_memory() to read it after the passes");
  EXPECT_THROW(tensor.update_host(), Error);
  set_values(tensor, {3, 4});
  expect_values(tensor, {3, 4});
  EXPECT_FALSE(view.is_released());
}

TEST(Tensor, WhatWasNeverWrittenReadsAsZerosAfterADiscardToo) {
  Tensor tensor;
  tensor.reshape({2});
  tensor.use_arena(std::make_shared<Arena>(4096), "blob 'a'");
  expect_values(tensor, {0, 0});
  tensor.release();
  EXPECT_FALSE(tensor.is_released());
  expect_values(tensor, {0, 0});
}

TEST(Tensor, WhatIsOmittedIsAnErrorUntilItIsWritten) {
  Tensor tensor;
  tensor.reshape({4});
  tensor.mark_unavailable();
  expect_values(tensor, {0, 0, 0, 0});
  tensor.use_arena(std::make_shared<Arena>(1 << 20), "blob 'x'");
  tensor.mark_unavailable();
  EXPECT_TRUE(tensor.is_released());
  EXPECT_ERROR(tensor.read_host(), "blob 'x' was released");
  set_values(tensor, {1, 2, 3, 4});
  expect_values(tensor, {1, 2, 3, 4});
}

TEST(Tensor, DiscardDoesNothingWithoutAnArena) {
  Tensor tensor;
  set_values(tensor, {3});
  tensor.release();
  expect_values(tensor, {3});
}

TEST(Tensor, TakesOrdinaryMemoryWhereTheArenaIsFull) {
  const auto arena = std::make_shared<Arena>(64);
  Tensor tensor;
  tensor.reshape({100});
  tensor.use_arena(arena, "blob 'a'");
  set_values(tensor, std::vector<float>(100, 7));
  EXPECT_EQ(arena->peak(), 0u);
  tensor.release();
  EXPECT_FALSE(tensor.allocated());
}

TEST(Tensor, KeepsOneLayoutInAnArenaOnceItIsWritten) {
  const auto arena = std::make_shared<Arena>(1 << 20);
  const Context cpu;
  Tensor tensor;
  tensor.reshape({1, channel_block(), 4, 4});
  tensor.use_arena(arena, "blob 'a'");
  tensor.write(cpu)[0] = 1;
  EXPECT_EQ(tensor.read(cpu, Layout::nchw_blocked)[0], 1);
  const auto bytes = static_cast<std::size_t>(tensor.bytes());
  EXPECT_EQ(arena->peak(), 2 * bytes);
  tensor.update(cpu);  // the blocked copy goes
  EXPECT_NE(arena->take(bytes), nullptr);
  EXPECT_EQ(arena->peak(), 2 * bytes);
}

TEST(Context, WorkspaceGrowsAndIsKept) {
  const auto device = std::make_shared<CountingAccelerator>();
  Context gpu(device);
  EXPECT_EQ(gpu.workspace_bytes(), 0);
  float* memory = gpu.workspace(100);
  EXPECT_EQ(gpu.workspace(50), memory);
  EXPECT_EQ(gpu.workspace_bytes(), 400);
  gpu.workspace(101);
  EXPECT_EQ(gpu.workspace_bytes(), 404);
  EXPECT_EQ(device->allocations, 2);
  EXPECT_EQ(device->uploads + device->downloads + device->clears, 0);
}

}  // namespace
}  // namespace doppio
