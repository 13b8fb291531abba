#pragma once
#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// The layer for a net that sees the share's part of each batch. Of a data layer it is one that
/// reads, of its images in their order, the numbers rank, rank + ranks, and so on, with the crops
/// and mirror images that they get where one net reads all. Throws: Error if the batch is not
/// divisible, if data comes from a layer of another kind, or if the mean over the shares of what the
/// layer computes is not that of the batch.
LayerParameter take_share(LayerParameter layer, const LayerTraits& traits, const Share& share);

}  // namespace doppio
