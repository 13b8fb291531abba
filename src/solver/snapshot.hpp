#pragma once
#include <string>

#include "doppio.pb.h"
#include "doppio/solver.hpp"

namespace doppio {

/// Moves a solver's memory into a SolverState and back.
class SnapshotAccess {
 public:
  /// Everything but the weights, which are in `model_file` of the given SHA-256, and the history.
  static SolverState capture(Solver& solver, const std::string& model_file,
                             const std::string& model_sha256);

  /// Loads the weights that belong to `state`, or those of `weights_file` if it is not empty, and
  /// continues from it. Checks everything that can be checked before it changes anything. Throws:
  /// Error that names `state_file`.
  static void apply(Solver& solver, const SolverState& state, const std::string& state_file,
                    const std::string& weights_file);

  /// Where the test nets stand in their data.
  static void save_test_positions(Solver& solver, SolverState& state);
  static void restore_test_positions(Solver& solver, const SolverState& state);
};

}  // namespace doppio
