#pragma once
#include <string>

#include "doppio.pb.h"

namespace doppio {

/// Returns the file with the weights of `state`, which was read from `state_file`, and logs it: one
/// beside it, or the recorded one. Throws: Error if there is none whose checksum matches.
std::string model_of(const SolverState& state, const std::string& state_file);

/// Returns the state file of the newest snapshot PREFIX_iter_N that is whole: whose state can be
/// read, and whose weights have the recorded checksum. Logs those that are not. Empty if there is
/// none.
std::string newest_snapshot(const std::string& prefix);

}  // namespace doppio
