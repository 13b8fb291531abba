#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace doppio {

class LayoutKernels;  // conversions between layouts of tensors (core/layout_kernels.hpp)

/// A captured graph, such as a cudaGraphExec_t.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

/// Memory, copies, events and streams of one accelerator. Implemented by src/cuda, and by a test
/// double that counts copies.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  /// Device number.
  virtual int id() const = 0;

  /// Throws: OutOfMemory with the requested and the free bytes if the device has not enough.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Allocates page-locked host memory: copies are fastest with it, and uploads need it to overlap
  /// with kernels. Throws: Error if the host has not enough.
  virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;

  virtual void to_device(void* device, const void* host, std::size_t bytes) = 0;
  /// Waits for the copy.
  virtual void to_host(void* host, const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;
  /// Starts a copy that waits for all work enqueued so far and overlaps with later kernels. `host`
  /// must not change before finish_upload(). Returns the upload's number, from 1.
  virtual std::uint64_t begin_upload(void* device, const void* host, std::size_t bytes) = 0;
  /// Makes work enqueued later wait for an upload, as cudaStreamWaitEvent does.
  virtual void await_upload(std::uint64_t number) = 0;
  /// Blocks until an upload is complete.
  virtual void finish_upload(std::uint64_t number) = 0;
  /// Starts a copy into page-locked memory, in stream order.
  virtual void begin_download(void* host, const void* device, std::size_t bytes) = 0;
  /// Blocks until all downloads so far are complete.
  virtual void finish_downloads() = 0;
  virtual void synchronize() = 0;

  /// Records event number `event` (0, 1, ...) after the work enqueued so far.
  virtual void record_event(std::size_t event) = 0;
  /// Work enqueued until end_side_stream() waits for an event and then overlaps with the main
  /// stream. Work enqueued later waits for both.
  virtual void begin_side_stream(std::size_t event) = 0;
  virtual void end_side_stream() = 0;
  /// The cudaStream_t on which kernels run.
  virtual void* stream() = 0;

  /// Captures the work enqueued until end_capture() instead of running it. Calls that wait for the
  /// device or allocate its memory throw NotCapturable. Returns the device address at which
  /// captured kernels find the number passed to replay().
  virtual const std::uint64_t* begin_capture() = 0;
  /// Returns the captured graph, or null if it cannot be replayed.
  virtual std::shared_ptr<const DeviceGraph> end_capture() = 0;
  /// Launches a captured graph with one call.
  virtual void replay(const DeviceGraph& graph, std::uint64_t number) = 0;

  /// Conversions between layouts, to run on stream().
  virtual LayoutKernels& layout_kernels() = 0;
};

/// Thrown by calls that cannot be part of a capture.
class NotCapturable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace doppio
