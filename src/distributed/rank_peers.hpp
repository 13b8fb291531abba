#pragma once
#include <span>
#include <vector>

#include "core/peers.hpp"

namespace doppio {

class ProcessGroup;

/// Connects the parts of a net that run in consecutive ranks of a group, one part each.
/// Accelerators exchange through host memory.
class RankPeers final : public Peers {
 public:
  /// Each `parts` ranks hold a copy of the net; their number must divide the ranks.
  RankPeers(ProcessGroup& group, int parts);
  int part() const override { return part_; }
  int parts() const override { return parts_; }
  void exchange(Context& ctx, std::span<const std::span<const float>> to,
                std::span<const std::span<float>> from) override;

 private:
  ProcessGroup& group_;
  const int parts_, part_;
  const int first_rank_;                             // which holds part 0
  std::vector<std::vector<float>> sent_, received_;  // copies on the host, for accelerators
};

}  // namespace doppio
