#pragma once
#include <string>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Returns the fingerprints of all data layers that read files (FingerprintedSource), in the net's
/// order, as "layer 'data': 60000 records, sample 91bd3ad3cbf1c2ab". Machines whose copies of the
/// data are equal get equal texts. Throws: Error if files cannot be read.
std::vector<std::string> data_fingerprints(Net& net);

}  // namespace doppio
