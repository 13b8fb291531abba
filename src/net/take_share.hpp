#pragma once
#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// A data layer that reads the share's part of each batch of `layer`: of its images in their order
/// the numbers rank, rank + ranks, and so on, with the crops and mirror images that they get where
/// one net reads all. Throws: Error if the batch is not divisible or the layer's type cannot do it.
LayerParameter take_share(LayerParameter layer, const Share& share);

}  // namespace doppio
