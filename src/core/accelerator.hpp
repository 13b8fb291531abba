#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace doppio {

class LayoutKernels;  // conversions between layouts of tensors (core/layout_kernels.hpp)

/// Work that an accelerator has captured.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

/// Memory, copies, events and streams of one accelerator. src/cuda implements it; tests use a
/// double that counts the copies.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  /// Its number.
  virtual int id() const = 0;

  /// Throws: OutOfMemory with the bytes asked for and the bytes free if the device has not enough.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Page-locked memory of the host, from and to which copies are fastest, and which uploads need
  /// to run beside kernels. Throws: Error if the host has not enough.
  virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;

  virtual void to_device(void* device, const void* host, std::size_t bytes) = 0;
  /// Returns when the bytes have arrived.
  virtual void to_host(void* host, const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;
  /// Begins a copy that runs beside the kernels asked for later. It comes after all work asked for
  /// so far. `host` may not change before finish_upload(). Returns the upload's number, from 1.
  virtual std::uint64_t begin_upload(void* device, const void* host, std::size_t bytes) = 0;
  /// Lets work asked for later wait for an upload.
  virtual void await_upload(std::uint64_t number) = 0;
  /// Returns when an upload has arrived.
  virtual void finish_upload(std::uint64_t number) = 0;
  /// Begins a copy into page-locked memory, in the order of the other work.
  virtual void begin_download(void* host, const void* device, std::size_t bytes) = 0;
  /// Returns when all downloads begun so far have arrived.
  virtual void finish_downloads() = 0;
  virtual void synchronize() = 0;

  /// Records, as event `event` (0, 1, ...), how far the work asked for so far reaches.
  virtual void record_event(std::size_t event) = 0;
  /// Lets work asked for until end_side_stream() run beside the rest, once that has got to an
  /// event. Work asked for later waits for both.
  virtual void begin_side_stream(std::size_t event) = 0;
  virtual void end_side_stream() = 0;
  /// The cudaStream_t on which kernels run.
  virtual void* stream() = 0;

  /// Captures the work asked for until end_capture() instead of doing it. What would wait for the
  /// device, or take memory from it, throws NotCapturable. Returns where captured kernels find the
  /// number given to replay(), in the device's memory.
  virtual const std::uint64_t* begin_capture() = 0;
  /// Returns the captured work, or null if it cannot be replayed.
  virtual std::shared_ptr<const DeviceGraph> end_capture() = 0;
  /// Does captured work, at the cost of one call.
  virtual void replay(const DeviceGraph& graph, std::uint64_t number) = 0;

  /// Conversions between layouts, for its stream().
  virtual LayoutKernels& layout_kernels() = 0;
};

/// Thrown during a capture: what was asked for cannot be part of it.
class NotCapturable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace doppio
