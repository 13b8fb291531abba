#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"

namespace doppio {

/// Reads a .solverstate, or a .solverstate.h5 (told by its content), ours or Caffe's.
/// Throws: Error if it is not one; for weight files it says what to do with them.
SolverState read_solver_state(const std::string& file);

/// Writes `state`, with `history` after its own, as HDF5 if the name ends in ".h5", so that `file`
/// is always whole. Throws: Error.
void write_solver_state(const std::string& file, const SolverState& state,
                        const std::vector<Tensor>& history = {});

}  // namespace doppio
