#include "distributed/rank_peers.hpp"

#include "core/accelerator.hpp"
#include "distributed/process_group.hpp"
#include "doppio/context.hpp"

namespace doppio {

RankPeers::RankPeers(ProcessGroup& group, int parts)
    : group_(group),
      parts_(parts),
      part_(group.rank() % parts),
      first_rank_(group.rank() - part_),
      sent_(static_cast<std::size_t>(parts)),
      received_(sent_.size()) {}

void RankPeers::exchange(Context& ctx, std::span<const std::span<const float>> to,
                         std::span<const std::span<float>> from) {
  Accelerator* const device = ctx.accelerator().get();
  std::vector<ProcessGroup::Outgoing> outgoing;
  std::vector<ProcessGroup::Incoming> incoming;
  for (int part = 0; part < parts_; ++part) {
    if (part == part_) continue;
    const auto q = static_cast<std::size_t>(part);
    if (device) {
      sent_[q].resize(to[q].size());
      received_[q].resize(from[q].size());
      device->to_host(sent_[q].data(), to[q].data(), to[q].size_bytes());
    }
    outgoing.push_back({first_rank_ + part, device ? std::span<const float>(sent_[q]) : to[q]});
    incoming.push_back({first_rank_ + part, device ? std::span<float>(received_[q]) : from[q]});
  }
  group_.exchange(outgoing, incoming);
  for (std::size_t q = 0; device && q < from.size(); ++q)
    if (static_cast<int>(q) != part_)
      device->to_device(from[q].data(), received_[q].data(), from[q].size_bytes());
}

}  // namespace doppio
