#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

class Accelerator;

/// Floats in an accelerator's memory.
struct DeviceFloats {
  float* values = nullptr;
  Index count = 0;
};

/// Several accelerators that compute means together. The first one has rank 0.
class Communicator {
 public:
  virtual ~Communicator() = default;
  /// Begins to replace a rank's floats by the means over all ranks, the same on each, in the order
  /// of the rank's other work. All ranks ask for the same, on a thread each.
  virtual void all_reduce_mean(std::size_t rank, std::span<const DeviceFloats> floats) = 0;
  /// Ends what others have begun, and may wait for, because a rank has failed; for any thread. To
  /// ask for more is an Error.
  virtual void abort() noexcept = 0;
};

/// Throws: Error if this build or this machine lacks what it takes.
std::unique_ptr<Communicator> make_communicator(
    std::vector<std::shared_ptr<Accelerator>> accelerators);

}  // namespace doppio
