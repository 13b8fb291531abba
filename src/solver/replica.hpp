#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "doppio/net.hpp"
#include "solver/rules/update_rule.hpp"

namespace doppio {

class Communicator;
struct SolverNet;

/// A net that learns, with the memory of its update rule: all of a training, or one of several that
/// see a part of each batch on a device each. They begin with the same weights and update them by
/// the same gradients, the means of all, so that the weights stay the same.
class Replica {
 public:
  /// Throws: Error.
  Replica(Context& ctx, SolverNet train, const SolverParameter& param, const Shard& shard);

  /// Goes on from where `first` is: place in the data, random numbers and, if `weights`, weights
  /// and history.
  void follow(Replica& first, bool weights);
  /// Brings all that update() touches to the device. A device that has not enough memory fails
  /// here, where no other waits for it.
  void prepare();
  /// Tensor::version() of all weights and history.
  std::vector<std::uint64_t> versions() const;

  /// Begins to replace all gradients by the means of all replicas.
  void average_gradients(Communicator& communicator);
  /// Updates all parameters; with a `communicator`, by the means of all replicas' gradients. `step`
  /// is that of multipliers 1. On an accelerator this and average_gradients() run beside the
  /// backward pass.
  void update(const UpdateStep& step, Communicator* communicator);
  /// Sum of the squares of all gradients.
  double squared_norm();

  Context& ctx;
  Net net;
  const std::unique_ptr<UpdateRule> rule;
  std::vector<Tensor> history;  ///< in sets of one per parameter

 private:
  template <class Work>
  void for_each_group(Work work);
  void all_reduce_mean(const std::vector<std::size_t>& group, Communicator& communicator);
};

}  // namespace doppio
