#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "doppio/net.hpp"
#include "solver/rules/lars.hpp"
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
  /// Returns the learning rate of each parameter. `step` is for multipliers of 1. `norms`: of all
  /// parameters, with averaged gradients; needed by `lars` only.
  std::vector<float> learning_rates(const UpdateStep& step,
                                    std::span<const SquaredNorms> norms = {});
  /// Updates all parameters with the learning rates `rates`, and with gradients averaged over all
  /// replicas if `communicator` is not null. `step` is for multipliers of 1. On an accelerator this
  /// and average_gradients() overlap the backward pass.
  void update(const UpdateStep& step, std::span<const float> rates, Communicator* communicator);
  /// Updates the parameters that need no gradient, such as statistics, of which only the history
  /// changes.
  void update_without_gradients(const UpdateStep& step, std::span<const float> rates);
  /// Returns the memory of parameter `p` on the device of `where`, to update it. The copies there
  /// become the current ones.
  ParameterMemory memory(std::size_t p, Context& where);
  /// Returns `step` with the learning rate and the multipliers of parameter `p`.
  UpdateStep step_of(const UpdateStep& step, std::size_t p, std::span<const float> rates);

  Context& ctx;
  Net net;
  const std::unique_ptr<UpdateRule> rule;
  const std::optional<Lars> lars;
  std::vector<Tensor> history;  ///< rule->history_count() sets of one tensor per parameter

 private:
  template <class Work>
  void for_each_group(Work work);
  void all_reduce_mean(const std::vector<std::size_t>& group, Communicator& communicator);
};

}  // namespace doppio
