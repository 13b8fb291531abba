#pragma once
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "core/accelerator.hpp"
#include "core/bf16.hpp"
#include "core/layout.hpp"
#include "core/layout_kernels.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

/// A fake accelerator in host memory that counts calls, to test which copies are made. It runs no
/// kernels.
class CountingAccelerator final : public Accelerator, private LayoutKernels {
 public:
  int allocations = 0, releases = 0, uploads = 0, downloads = 0, clears = 0;
  int host_allocations = 0, host_releases = 0, awaited = 0, finished = 0, conversions = 0,
      casts = 0;
  bool captures = false;                // whether end_capture() returns a graph
  std::vector<std::uint64_t> replayed;  // the numbers passed to replay()

  int id() const override { return 0; }
  void* allocate(std::size_t bytes) override {
    ++allocations;
    void* memory = std::malloc(bytes);
    std::memset(memory, 0xFF, bytes);  // NaN, because fresh memory is undefined
    return memory;
  }
  void release(void* memory) noexcept override {
    ++releases;
    std::free(memory);
  }
  void to_device(void* device, const void* host, std::size_t bytes) override {
    ++uploads;
    std::memcpy(device, host, bytes);
  }
  void to_host(void* host, const void* device, std::size_t bytes) override {
    ++downloads;
    std::memcpy(host, device, bytes);
  }
  void zero(void* device, std::size_t bytes) override {
    ++clears;
    std::memset(device, 0, bytes);
  }
  std::uint64_t begin_upload(void* device, const void* host, std::size_t bytes) override {
    begun_.push_back([=, this] { to_device(device, host, bytes); });
    return ++upload_count_;
  }
  void await_upload(std::uint64_t number) override {
    ++awaited;
    do_uploads(number);
  }
  void finish_upload(std::uint64_t number) override {
    ++finished;
    do_uploads(number);
  }
  void begin_download(void* host, const void* device, std::size_t bytes) override {
    begun_downloads_.push_back([=, this] { to_host(host, device, bytes); });
  }
  void finish_downloads() override {
    for (const auto& download : begun_downloads_) download();
    begun_downloads_.clear();
  }
  void record_event(std::size_t) override {}
  void begin_side_stream(std::size_t) override {}
  void end_side_stream() override {}
  const std::uint64_t* begin_capture() override { return nullptr; }
  std::shared_ptr<const DeviceGraph> end_capture() override {
    return captures ? std::make_shared<DeviceGraph>() : nullptr;
  }
  void replay(const DeviceGraph&, std::uint64_t number) override { replayed.push_back(number); }
  void* allocate_host(std::size_t bytes) override {
    ++host_allocations;
    return std::malloc(bytes);
  }
  void release_host(void* memory) noexcept override {
    ++host_releases;
    std::free(memory);
  }
  void synchronize() override {}
  void* stream() override { return nullptr; }
  LayoutKernels& layout_kernels() override { return *this; }

 private:
  void convert(void*, Index count, const float* from, Bf16* to) override {
    ++casts;
    for (Index i = 0; i < count; ++i) to[i] = Bf16(from[i]);
  }
  void convert(void*, Index count, const Bf16* from, float* to) override {
    ++casts;
    for (Index i = 0; i < count; ++i) to[i] = from[i];
  }
  void nchw_to_nhwc(void*, const TensorDims& dims, const float* nchw, float* nhwc) override {
    transpose(dims.images, dims.channels, dims.pixels, nchw, nhwc);
  }
  void nchw_to_nhwc(void*, const TensorDims& dims, const float* nchw, Bf16* nhwc) override {
    transpose(dims.images, dims.channels, dims.pixels, nchw, nhwc);
  }
  void nhwc_to_nchw(void*, const TensorDims& dims, const float* nhwc, float* nchw) override {
    transpose(dims.images, dims.pixels, dims.channels, nhwc, nchw);
  }
  void nhwc_to_nchw(void*, const TensorDims& dims, const Bf16* nhwc, float* nchw) override {
    transpose(dims.images, dims.pixels, dims.channels, nhwc, nchw);
  }

  /// to[n, column, row] = from[n, row, column].
  template <class From, class To>
  void transpose(Index count, Index rows, Index columns, const From* from, To* to) {
    ++conversions;
    for (Index n = 0; n < count; ++n)
      for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < columns; ++c)
          to[(n * columns + c) * rows + r] = To(from[(n * rows + r) * columns + c]);
  }

  /// Runs uploads as late as possible.
  void do_uploads(std::uint64_t last) {
    for (; done_ < last && !begun_.empty(); ++done_) {
      begun_.front()();
      begun_.erase(begun_.begin());
    }
  }

  std::vector<std::function<void()>> begun_, begun_downloads_;
  std::uint64_t upload_count_ = 0, done_ = 0;
};

}  // namespace doppio
