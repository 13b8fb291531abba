#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"

namespace doppio {

/// Reads a .solverstate or .solverstate.h5 of Doppio or Caffe. The content decides which. Throws:
/// Error if it is neither, with advice if it is a weight file.
SolverState read_solver_state(const std::string& file);

/// Writes `state` atomically, with `history` after its own, as HDF5 if the name ends in ".h5".
/// Throws: Error.
void write_solver_state(const std::string& file, const SolverState& state,
                        const std::vector<Tensor>& history = {});

}  // namespace doppio
