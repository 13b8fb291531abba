// What an iteration asks of the GPU, counted by the emulated one's journal.
#include <cuda_runtime_api.h>

#include <chrono>
#include <thread>

#include "core/accelerator.hpp"
#include "cuda/gpu_test.hpp"
#include "cuda/records.hpp"
#include "cuda/small_alexnet.hpp"
#include "emulated_cuda/launch.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

using Journal = std::map<std::string, int>;

/// The journal of iteration number `iteration`, from 1.
Journal journal_of_an_iteration(Context& ctx, int iteration, const std::string& engine) {
  Solver solver(ctx, small_alexnet(engine));
  solver.save_memory();
  solver.step(iteration - 1);
  const Journal before = cuda::emulated::journal();
  solver.step(1);
  Journal during = cuda::emulated::journal();
  for (const auto& [what, count] : before)
    if ((during[what] -= count) == 0) during.erase(what);
  return during;
}

int count_of(const std::string& what) {
  const Journal& journal = cuda::emulated::journal();
  return journal.count(what) ? journal.at(what) : 0;
}

class JournalTest : public GpuTest {};

TEST_F(JournalTest, OnlyTheLossComesBack) {
  const Journal journal = journal_of_an_iteration(*ctx, 3, "GEMM");
  EXPECT_EQ(journal.count("upload"), 0u) << "the images were on the GPU already";
  EXPECT_EQ(journal.at("download"), 1);
  EXPECT_EQ(journal.count("wait"), 0u) << "but for the loss";
}

TEST_F(JournalTest, EachConvolutionIsThreeProductsWhateverItsBatchAndGroups) {
  const Journal journal = journal_of_an_iteration(*ctx, 3, "GEMM");
  // conv1 needs no gradient of the images; fc6 and fc8 add their biases by products.
  EXPECT_EQ(journal.at("copy_windows"), 4);
  EXPECT_EQ(journal.at("gather_windows"), 1);
  EXPECT_LE(journal.at("cuBLAS"), 5 + 6 + 4);
}

TEST_F(JournalTest, PassesAreStartedByOneCall) {
  const Journal journal = journal_of_an_iteration(*ctx, 4, "GEMM");
  EXPECT_EQ(journal.at("graph"), 2) << "one up to the loss, one after it";
  EXPECT_EQ(journal.count("cuBLAS"), 0u);
  EXPECT_EQ(journal.at("Fused"), 8) << "updates need the learning rate";
  EXPECT_EQ(journal.count("wait"), 0u);
}

TEST_F(JournalTest, WithoutMemoryForGraphsTrainingGoesOnStepByStep) {
  Context stepwise(test_gpu());
  stepwise.graph_capture = false;
  const auto expected = weights_after(stepwise, small_alexnet("DEFAULT"), 5);
  cuda::emulated::graphs_fail = true;
  const auto actual = weights_after(*ctx, small_alexnet("DEFAULT"), 5);
  cuda::emulated::graphs_fail = false;
  EXPECT_EQ(actual, expected);
}

TEST_F(JournalTest, WhatACaptureReleasesIsFreedAfterIt) {
  Accelerator& gpu = *ctx->accelerator();
  const auto free_memory = [&] {
    gpu.synchronize();
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return free;
  };
  gpu.begin_capture();  // the first one allocates
  gpu.end_capture();
  const std::size_t before = free_memory();
  void* memory = gpu.allocate(1 << 20);
  void* pinned = gpu.allocate_host(1 << 20);
  gpu.begin_capture();
  gpu.release(memory);
  gpu.release_host(pinned);
  EXPECT_EQ(gpu.end_capture(), nullptr) << "it might have used the memory";
  EXPECT_EQ(free_memory(), before);
}

TEST_F(JournalTest, LargeUpdatesRunBesideTheBackwardPass) {
  Solver solver(*ctx, large_alexnet());
  const int before = count_of("graph");
  solver.step(4);
  EXPECT_EQ(count_of("graph") - before, 2 * 3)
      << "up to the loss, up to fc6's gradient, the rest: iterations 3 and 4";
}

TEST_F(JournalTest, TheNextBatchIsUploadedWhileOneIsInUse) {
  const ScratchFolder folder;
  write_records(folder / "db", 7, 9, 7);
  LayerHarness data(str("type: 'Data' data_param { backend: LMDB source: '", folder / "db",
                        "' batch_size: 4 prefetch: 2 }"),
                    {}, {.tops = 2, .device = Device::cuda});
  constexpr int kTensors = 3;  // of a batch: bytes, their views, labels
  const int uploads = count_of("upload"), used = count_of("transform_pixels");
  for (int shown = 1; shown < 500; ++shown) {
    data.forward();
    const int batches = (count_of("upload") - uploads) / kTensors;
    EXPECT_EQ(count_of("transform_pixels") - used, shown);
    if (batches > shown) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // until threads have made it
  }
  FAIL() << "no batch was uploaded before it was shown";
}

}  // namespace
}  // namespace doppio
