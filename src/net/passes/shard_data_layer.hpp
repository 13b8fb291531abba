#pragma once
#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// The layer for a net that sees the shard's part of each batch. Of a data layer it is one that
/// reads, of its images in their order, the numbers index, index + count, and so on, with the crops
/// and mirror images that they get where one net reads all. Throws: Error if the batch is not
/// divisible, if data comes from a layer of another kind, or if the mean over the shares of what
/// the layer computes is not that of the batch.
LayerParameter shard_data_layer(LayerParameter layer, const LayerTraits& traits,
                                const Shard& shard);

}  // namespace doppio
