#pragma once
#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// Returns the layer for a net that processes one shard of each batch. A data layer then reads the
/// images index, index + count, and so on, with the same crops and mirroring as if one net read
/// them all, and with its share of this machine's threads. Throws: Error if count does not divide
/// the batch size, if the data layer is of an unsupported type, or if the layer's result for the
/// batch is not the mean of those of the shards.
LayerParameter shard_data_layer(LayerParameter layer, const LayerTraits& traits,
                                const Shard& shard);

}  // namespace doppio
