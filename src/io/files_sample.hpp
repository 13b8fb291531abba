#pragma once
#include <string>
#include <vector>

namespace doppio {

/// Returns a short hash of up to 16 evenly spaced ones of `files`: of their sizes and of up to
/// three blocks of each, at its start, middle and end. The paths do not matter. A file that cannot
/// be read is hashed as such.
std::string files_sample(const std::vector<std::string>& files);

}  // namespace doppio
