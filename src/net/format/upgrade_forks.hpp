#pragma once
#include "net/format/source_map.hpp"

namespace doppio {

/// Fields that forks gave names of their own take those of the schema: `hole` becomes dilation, and
/// `ceil_mode` round_mode.
SourcedNet upgrade_fork_names(SourcedNet source);

/// Statistics never learn: the params of BatchNorm, and mean and variance of BN, get learning rate
/// 0; if BN is frozen, its slope and bias too. Stored blobs of BN become 1 x C x 1 x 1. NVCaffe's
/// and Intel's BatchNorm with scale and bias, recognised by its fields or by its four or five
/// blobs, becomes a BatchNorm layer and an in-place Scale layer named <layer>_scale.
SourcedNet upgrade_batch_norms(SourcedNet source);

}  // namespace doppio
