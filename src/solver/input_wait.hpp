#pragma once
#include <memory>

#include "doppio/solver.hpp"

namespace doppio {

/// Logs before each test, at each snapshot and at the end which share of the training time since
/// the line before was spent waiting for data: "Waited for input 0.4 % of 30.2 s".
std::shared_ptr<SolverObserver> make_input_wait_observer();

}  // namespace doppio
