#pragma once
#include <memory>

#include "doppio/solver.hpp"

namespace doppio {

/// Writes Caffe's log lines with glog, word for word, so that existing log parsers can read them.
std::shared_ptr<SolverObserver> make_log_observer();

}  // namespace doppio
