#pragma once
#include <cstddef>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// Layer fusion: which layers do the work of their successors. Layers are indices into
/// Net::layers().
struct FusionPlan {
  /// For each layer, the successors whose work it may do, each the next user of the previous
  /// layer's top. Layer::fuse() chooses how many of them, from the first.
  std::vector<std::vector<std::size_t>> groups;
  std::vector<std::size_t> last;  ///< for each layer, the last whose work it does, maybe its own
  std::vector<char> fused;        ///< for each layer, whether an earlier layer does its work

  /// Returns whether layer `i` writes the top of a fused successor instead of its own.
  bool skips_top(const std::vector<NetLayer>& layers, std::size_t i) const {
    return last[i] != i && layers[last[i]].tops[0] != layers[i].tops[0];
  }
};

/// Finds the groups. No layer is fused yet. A group contains
/// - layers whose only bottom and top are the same blob, and BatchNorms,
/// - sums of the blob and one that is computed before the first layer of the group,
/// - a Pooling in first position, if LayerTraits::fuses_pooling allows that,
/// none of which is a loss, and ends at the first ReLU.
FusionPlan plan_fusion(const std::vector<NetLayer>& layers);

}  // namespace doppio
