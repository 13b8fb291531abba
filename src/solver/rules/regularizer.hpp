#pragma once

namespace doppio {

class SolverParameter;

/// Weight decay: the term added to the gradient of a weight w.
enum class Regularizer {
  l1,  ///< decay * sign(w)
  l2   ///< decay * w
};

/// Reads regularization_type. Throws: Error if it is neither "L1" nor "L2".
Regularizer regularizer_of(const SolverParameter& param);

}  // namespace doppio
