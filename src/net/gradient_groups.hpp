#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "doppio/net.hpp"

namespace doppio {

/// The parameters of a net in groups, by when the backward pass completes their gradients. None is
/// so small that it would not pay to start work for it beside the rest of the backward pass.
struct GradientGroups {
  std::vector<std::vector<std::size_t>> groups;  ///< of indices into Net::parameters()
  /// For each layer the group that is complete after its backward pass, if one is.
  std::vector<std::optional<std::size_t>> completed_by;
};

/// `parameters` are those of `layers`, in the order of the layers that own them. Fusion may move
/// the backward pass of a layer to the one whose group it is in (FusionPlan::groups).
GradientGroups find_gradient_groups(const std::vector<NetLayer>& layers,
                                    const std::vector<Parameter>& parameters,
                                    const std::vector<std::vector<std::size_t>>& fusion_groups);

}  // namespace doppio
