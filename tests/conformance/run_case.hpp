#pragma once
#include <filesystem>
#include <memory>

#include "case_file.hpp"
#include "compare.hpp"

namespace doppio::conformance {

/// Runs a case on `device`, by the reference if asked (Context::reference), and compares.
/// Everything that goes wrong becomes a failure with its message; a layer type that this build does
/// not have, or a missing GPU, becomes a skip.
Result run_case(const Case& c, Device device, bool reference);

/// What is needed of net.prototxt beside running it; its errors are for the real parser to report.
NetParameter read_net_loosely();

// The three kinds, in the case's folder (or a copy of it) as the current one. Throw: Error.
Result run_layer_case(const Case& c, Context& ctx);
Result run_data_case(const Case& c, Context& ctx);
Result run_solver_case(const Case& c, Context& ctx);

}  // namespace doppio::conformance
