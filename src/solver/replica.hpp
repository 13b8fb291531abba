#pragma once
#include <memory>
#include <vector>

#include "doppio/net.hpp"
#include "solver/update_rule.hpp"

namespace doppio {

class Communicator;
struct SolverNet;

/// A net that learns, with the memory of its update rule: all of a training, or one of several that
/// see a part of each batch on a device each. They begin with the same weights and update them by
/// the same gradients, the means of all, so that the weights stay the same.
class Replica {
 public:
  /// Throws: Error.
  Replica(Context& ctx, SolverNet train, const SolverParameter& param, const Share& share);

  /// Goes on from where `first` is: weights, history, place in the data, random numbers.
  void follow(Replica& first);

  /// Begins to replace the gradients of group `g` by the means of all replicas.
  void average_gradients(std::size_t g, Communicator& communicator);
  void average_all_gradients(Communicator& communicator);
  /// Updates all parameters, on an accelerator beside the backward pass; with a `communicator`, by
  /// the means of all replicas' gradients. `step` is that of multipliers 1.
  void update(const UpdateStep& step, Communicator* communicator);
  /// Sum of the squares of all gradients.
  double squared_norm();

  Context& ctx;
  Net net;
  const std::unique_ptr<UpdateRule> rule;
  std::vector<Tensor> history;  ///< in sets of one per parameter
};

}  // namespace doppio
