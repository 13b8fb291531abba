#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "doppio/shape.hpp"

namespace doppio {

enum class Layout;  // how the values of a tensor lie in memory (tensor.hpp)
struct Blocks;      // images, channels and pixels of a tensor (core/layout.hpp)
struct PixelBatch;  // bytes and what is to become of them (core/pixel_batch.hpp)

/// Work that an accelerator has captured.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
};

/// Memory and queue of one accelerator. src/cuda implements it; tests use a double that counts the
/// copies.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  /// Its number.
  virtual int id() const = 0;
  /// Lets accelerator number `id` reach this one's memory if the machine can do that.
  virtual void open_to(int id) = 0;
  /// Throws: OutOfMemory with the bytes asked for and the bytes free if the device has not enough.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
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
  /// Page-locked memory of the host, from and to which copies are fastest, and which uploads need
  /// to run beside kernels. Throws: Error if the host has not enough.
  virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;
  virtual void synchronize() = 0;
  /// Copies a plain tensor of these sizes to `to`, where it lies in one of the layouts of
  /// accelerators; and back.
  virtual void from_plain(const Blocks& sizes, const float* plain, Layout layout, void* to) = 0;
  virtual void to_plain(const Blocks& sizes, Layout layout, const void* from, float* plain) = 0;
  /// Rounds so many floats to bfloat16, or the other way round.
  virtual void round(Index count, const float* from, void* to) = 0;
  virtual void widen(Index count, const void* from, float* to) = 0;
  /// Makes what a net sees of images that are bytes.
  virtual void transform(const PixelBatch& batch) = 0;

  /// Remembers, as mark number `number` (0, 1, ...), how far the work asked for so far reaches.
  virtual void mark(std::size_t number) = 0;
  /// Work asked for until end_side() runs beside the rest, once that has got to a mark. Work asked
  /// for after end_side() comes behind both.
  virtual void begin_side(std::size_t mark) = 0;
  virtual void end_side() = 0;

  /// Captures the work asked for until end_capture() instead of doing it. What would wait for the
  /// device, or take memory from it, throws NotCapturable.
  virtual void begin_capture() = 0;
  /// Returns the captured work, or null if it cannot be replayed.
  virtual std::shared_ptr<const DeviceGraph> end_capture() = 0;
  /// Does captured work, at the cost of one call.
  virtual void replay(const DeviceGraph& graph) = 0;
  /// A number in the device's memory that captured kernels may read, and what it is to be.
  virtual const std::uint64_t* counter() = 0;
  virtual void set_counter(std::uint64_t value) = 0;

  /// The cudaStream_t on which kernels run.
  virtual void* stream() = 0;
  /// The cublasHandle_t bound to stream().
  virtual void* blas() = 0;
  /// The cudnnHandle_t bound to stream(). Throws: InternalError if this build has no cuDNN.
  virtual void* dnn() = 0;
};

/// Thrown during a capture: what was asked for cannot be part of it.
class NotCapturable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace doppio
