#pragma once
#include <cstddef>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Layer fusion: which layers do the work of those after them. Layers are indices into
/// Net::layers().
struct FusionPlan {
  /// Of each layer, those after it that it may do the work of: each is the next to use what the one
  /// before it makes. What a layer takes is a beginning of its group (Layer::fuse()).
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::size_t> last;  ///< that each layer does the work of: itself if it takes none
  std::vector<char> fused;        ///< of each layer: one before it does its work

  /// True if layer `i` writes the top of another layer instead of its own, which nobody needs.
  bool skips_top(const std::vector<NetLayer>& layers, std::size_t i) const {
    return last[i] != i && layers[last[i]].tops[0] != layers[i].tops[0];
  }
};

/// Finds the groups; no layer takes anything yet. A group holds
/// - a layer whose only bottom and top are one blob, or a BatchNorm,
/// - a sum of the blob and one that is computed before the group's first layer,
/// - a Pooling that comes first, if LayerTraits::fuses_pooling allows that,
/// none of them a loss, and ends with a ReLU.
FusionPlan plan_fusion(const std::vector<NetLayer>& layers);

}  // namespace doppio
