#pragma once
#include "net/format/source_map.hpp"

namespace doppio {

/// Upgrades V0 layers, `layers { layer { name type ... } bottom top }`, to V1. Padding layers are
/// folded into the convolution or pooling that reads them. Throws: one Error with every field that
/// its layer type does not use.
SourcedNet upgrade_v0(SourcedNet source);

}  // namespace doppio
