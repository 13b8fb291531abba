#pragma once
#include <string>
#include <vector>

#include "doppio/solver.hpp"

namespace doppio {

/// Returns a line for each net of `solver` whose data have a known size: the epochs that max_iter
/// iterations are, and how much of its data a test reads. Batches are those of all devices
/// together. Collective if the solver has a group; all ranks get the same lines.
std::vector<std::string> data_report(Solver& solver);

}  // namespace doppio
