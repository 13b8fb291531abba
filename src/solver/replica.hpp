#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "doppio/net.hpp"
#include "solver/rules/update_rule.hpp"

namespace doppio {

class Communicator;
struct SolverNet;

/// A net in training and the history of its update rule. With several devices, each has a replica
/// that processes its shard of every batch. All replicas start from the same weights and apply the
/// same averaged gradients, so their weights stay equal.
class Replica {
 public:
  /// Throws: Error if the net or the update rule is invalid.
  Replica(Context& ctx, SolverNet train, const SolverParameter& param, const Shard& shard);

  /// Copies the state of `first`: data position, random seed and, if `weights`, weights and
  /// history.
  void follow(Replica& first, bool weights);
  /// Moves all tensors that update() touches to the device. A device without enough memory thus
  /// fails before other devices wait for it.
  void prepare();
  /// Returns Tensor::version() of all weights and history tensors.
  std::vector<std::uint64_t> versions() const;

  /// Starts to replace all gradients by their means over all replicas.
  void average_gradients(Communicator& communicator);
  /// Updates all parameters, with gradients averaged over all replicas if `communicator` is not
  /// null. `step` is for multipliers of 1. On an accelerator this and average_gradients() overlap
  /// the backward pass.
  void update(const UpdateStep& step, Communicator* communicator);
  /// Returns the sum of the squares of all gradients.
  double squared_norm();

  Context& ctx;
  Net net;
  const std::unique_ptr<UpdateRule> rule;
  std::vector<Tensor> history;  ///< rule->history_count() sets of one tensor per parameter

 private:
  template <class Work>
  void for_each_group(Work work);
  void all_reduce_mean(const std::vector<std::size_t>& group, Communicator& communicator);
};

}  // namespace doppio
