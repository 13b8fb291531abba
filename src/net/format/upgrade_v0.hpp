#pragma once
#include "net/format/source_map.hpp"

namespace doppio {

/// Brings `layers { layer { name type ... } bottom top }`, the first generation, to the second
/// (V1). Padding layers fold into the convolution or pooling that reads them. Throws: one Error
/// with every field that its layer type has no use for.
SourcedNet upgrade_v0(SourcedNet source);

}  // namespace doppio
