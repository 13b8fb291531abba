#pragma once
#include "net/format/source_map.hpp"

namespace doppio {

/// Upgrades V0 and V1 layers, `input:` fields and old transformation fields to today's format.
SourcedNet upgrade(SourcedNet source);

}  // namespace doppio
