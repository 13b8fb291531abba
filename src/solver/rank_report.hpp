#pragma once
#include <memory>

#include "doppio/solver.hpp"

namespace doppio {

/// Returns an observer that logs, whenever `display` is due, the share of the time that the ranks
/// have waited for each other, and the slowest rank. Needs a solver with a group; all ranks add it.
std::shared_ptr<SolverObserver> make_rank_report();

}  // namespace doppio
