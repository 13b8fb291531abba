#pragma once
#include <vector>

#include "doppio/net.hpp"
#include "solver/read_solver.hpp"

namespace doppio {

using Tensors = std::vector<Tensor*>;

/// A net as its prototxt describes it, with the history of its update rule, for reading and writing
/// the files of a net that is trained in parts. They are those of the unsplit net, so that a run
/// can continue with any number of parts. The net only holds weights; it is not run.
class WholeNet {
 public:
  /// `history_count`: tensors per parameter, see UpdateRule.
  explicit WholeNet(SolverNet source, int history_count = 0);

 private:
  Context ctx_;

 public:
  Net net;
  std::vector<Tensor> history;  ///< in the order of snapshots
};

/// Returns the weights of a net, its history and, if `with_grads`, its gradients: the same list for
/// a part of a net and for the whole.
Tensors tensors_of(Net& net, std::vector<Tensor>& history, bool with_grads);

}  // namespace doppio
