#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Where a layer's kernels run. `any` marks registry entries that serve every device.
enum class Device { cpu, cuda, any };

const char* device_name(Device device);

/// Memory and queue of one accelerator. src/cuda implements it; tests use a double that counts the
/// copies.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  /// Throws: Error with the bytes asked for and the bytes free if the device has not enough.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  virtual void to_device(void* device, const void* host, std::size_t bytes) = 0;
  /// Returns when the bytes have arrived.
  virtual void to_host(void* host, const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;
  /// Begins a copy that runs beside the kernels asked for later. It comes after all work asked for
  /// so far. `host` may not change before finish_uploads().
  virtual void begin_upload(void* device, const void* host, std::size_t bytes) = 0;
  /// Lets work asked for later wait for all uploads begun so far.
  virtual void await_uploads() = 0;
  /// Returns when all uploads begun so far have arrived.
  virtual void finish_uploads() = 0;
  /// Page-locked memory of the host, from and to which copies are fastest, and which uploads need
  /// to run beside kernels. Throws: Error if the host has not enough.
  virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;
  virtual void synchronize() = 0;
  /// The cudaStream_t on which kernels run.
  virtual void* stream() = 0;
  /// The cublasHandle_t bound to stream().
  virtual void* blas() = 0;
};

/// Opens accelerator number `id`. Throws: Error if there is no such card or this build has no CUDA.
std::shared_ptr<Accelerator> open_accelerator(int id);

/// What is known of an accelerator, for `doppio devices`.
struct AcceleratorInfo {
  int id = 0;
  std::string name;
  std::size_t memory_bytes = 0;
  std::string compute_capability;
};

/// The accelerators present; empty without a card, a driver or a CUDA build.
std::vector<AcceleratorInfo> list_accelerators();

/// What this build and the driver support, for `doppio devices`.
std::string accelerator_support();

/// True if this build contains CUDA kernels.
bool built_with_cuda();

/// Everything that running a layer needs beside its blobs: device, random key, workspace. There are
/// no globals, so two nets on two devices in one process do not meet.
class Context {
 public:
  /// A context on the CPU.
  explicit Context(std::uint64_t seed = 0);
  /// A context on an accelerator.
  explicit Context(std::shared_ptr<Accelerator> accelerator, std::uint64_t seed = 0);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device device() const { return accelerator_ ? Device::cuda : Device::cpu; }
  const std::shared_ptr<Accelerator>& accelerator() const { return accelerator_; }

  /// Key of all random numbers drawn on this context.
  std::uint64_t seed = 0;
  /// Number of the forward pass under way: the other half of the key, so that every pass draws
  /// anew. Set by the net.
  std::uint64_t pass = 0;
  /// Shapes only: fillers leave parameters unwritten and data layers may guess a missing database's
  /// shape.
  bool dry_run = false;
  /// Layers may do their successors' work on the way.
  bool fusion = true;

  /// Scratch memory of at least `count` floats on this device; contents undefined, valid until the
  /// next call.
  float* workspace(Index count);
  /// Bytes that the workspace holds.
  Index workspace_bytes() const;

 private:
  struct Workspace;
  std::shared_ptr<Accelerator> accelerator_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace doppio
