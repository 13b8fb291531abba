#pragma once
#include "net/format/source_map.hpp"

namespace doppio {

/// Renames fields of forks to those of the schema: `hole` becomes dilation, `ceil_mode` becomes
/// round_mode.
SourcedNet upgrade_fork_names(SourcedNet source);

/// Sets the learning rate of statistics to 0: of all params of BatchNorm, of mean and variance of
/// BN, and of slope and bias of a frozen BN. Stored blobs of BN become 1 x C x 1 x 1. BatchNorm
/// with scale and bias (NVCaffe, Intel), recognised by its fields or its four or five blobs,
/// becomes BatchNorm and an in-place Scale layer named <layer>_scale.
SourcedNet upgrade_batch_norms(SourcedNet source);

}  // namespace doppio
