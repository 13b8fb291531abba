#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

class Accelerator;

/// Floats in an accelerator's memory.
struct DeviceFloats {
  float* values = nullptr;
  Index count = 0;
};

/// All-reduce among several accelerators, as in NCCL. The first one has rank 0.
class Communicator {
 public:
  virtual ~Communicator() = default;
  /// Replaces the floats of a rank of this process by their means over all ranks, identical on
  /// each, in stream order. Every rank makes the same calls, each from its own thread. Does not
  /// wait for the device.
  virtual void all_reduce_mean(std::size_t rank, std::span<const DeviceFloats> floats) = 0;
  /// Aborts pending calls after a rank has failed. Thread-safe. Later calls throw Error.
  virtual void abort() noexcept = 0;
};

/// The place of a process's accelerators among those of all processes.
struct GlobalRanks {
  int first = 0;  ///< rank of the process's first accelerator
  int count = 0;  ///< accelerators of all processes; 0: only this one's
  /// Returns the text that the first process passes. All processes call it.
  std::function<std::string(const std::string& text)> broadcast = {};
};

/// Returns whether make_communicator() supports accelerators of several processes.
bool communicators_span_processes();

/// Throws: Error if this build or machine does not support it.
std::unique_ptr<Communicator> make_communicator(
    const std::vector<std::shared_ptr<Accelerator>>& accelerators, const GlobalRanks& ranks = {});

}  // namespace doppio
