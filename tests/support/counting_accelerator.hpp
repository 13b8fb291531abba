#pragma once
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "doppio/context.hpp"

namespace doppio {

/// An accelerator whose memory is the host's and which counts what is asked of it, for tests of who
/// copies what and when. It runs no kernels.
class CountingAccelerator final : public Accelerator {
 public:
  int allocations = 0, releases = 0, uploads = 0, downloads = 0, clears = 0;
  int host_allocations = 0, host_releases = 0, awaited = 0, finished = 0;

  void* allocate(std::size_t bytes) override {
    ++allocations;
    void* memory = std::malloc(bytes);
    std::memset(memory, 0xFF, bytes);  // every float a NaN: nobody may rely on fresh memory
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
  void begin_upload(void* device, const void* host, std::size_t bytes) override {
    begun_.push_back([=, this] { to_device(device, host, bytes); });
  }
  void await_uploads() override {
    ++awaited;
    do_uploads();
  }
  void finish_uploads() override {
    ++finished;
    do_uploads();
  }
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
  void* blas() override { return nullptr; }

 private:
  /// As late as possible.
  void do_uploads() {
    for (const auto& upload : begun_) upload();
    begun_.clear();
  }

  std::vector<std::function<void()>> begun_;
};

}  // namespace doppio
