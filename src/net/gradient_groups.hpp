#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// The parameters of a net, grouped by when the backward pass completes their gradients. Each group
/// but the last is large enough to be processed concurrently with the rest of the pass.
struct GradientGroups {
  std::vector<std::vector<std::size_t>> groups;  ///< indices into Net::parameters()
  /// For each layer: the group that its backward pass completes, if any.
  std::vector<std::optional<std::size_t>> completed_by;
};

/// Groups `parameters`, which are in the order of the `layers` that own them. A fused layer also
/// completes the gradients of the layers in its group (FusionPlan::groups).
GradientGroups find_gradient_groups(const std::vector<NetLayer>& layers,
                                    const std::vector<Parameter>& parameters,
                                    const std::vector<std::vector<std::size_t>>& fusion_groups);

}  // namespace doppio
