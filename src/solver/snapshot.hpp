#pragma once
#include <string>

#include "doppio.pb.h"
#include "doppio/solver.hpp"

namespace doppio {

/// Converts a solver's state to a SolverState and back.
class SnapshotAccess {
 public:
  /// Captures all but history and weights, which are in `model_file` with the given SHA-256.
  static SolverState capture(Solver& solver, const std::string& model_file,
                             const std::string& model_sha256);

  /// Restores `state` and loads its weights, or those of `weights_file` if it is not empty. If the
  /// train net is split, weights and history go to `whole` instead. Checks everything that can be
  /// checked before it changes anything. Throws: Error that names `state_file`.
  static void apply(Solver& solver, WholeNet* whole, const SolverState& state,
                    const std::string& state_file, const std::string& weights_file);

  /// Restores all of `state` but weights and history.
  static void apply_progress(Solver& solver, const SolverState& state);

  /// Saves the data positions of the test nets.
  static void save_test_positions(Solver& solver, SolverState& state);
  static void restore_test_positions(Solver& solver, const SolverState& state);
};

}  // namespace doppio
