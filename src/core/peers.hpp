#pragma once
#include <span>

namespace doppio {

class Context;

/// The devices that each hold a part of a net that is split along its channels (model parallelism,
/// NetParameter.model_parallel). Layers reach it through Context::peers.
class Peers {
 public:
  virtual ~Peers() = default;
  /// Number of this part, from 0 to parts() - 1.
  virtual int part() const = 0;
  virtual int parts() const = 0;
  /// Sends to[q] to every other part q and receives from[q] from it, both in the memory of ctx's
  /// device and parts() long; their entries for this part are ignored. Every part makes the same
  /// calls in the same order. Throws: Error if another part has failed.
  virtual void exchange(Context& ctx, std::span<const std::span<const float>> to,
                        std::span<const std::span<float>> from) = 0;
};

}  // namespace doppio
