#include "core/thread_peers.hpp"

#include <algorithm>

#include "core/accelerator.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

namespace doppio {

ThreadPeers::ThreadPeers(int parts) {
  for (int p = 0; p < parts; ++p) members_.emplace_back(*this, p);
}

void ThreadPeers::abort() noexcept {
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  all_met_.notify_all();
}

/// Returns when all members have called it.
void ThreadPeers::meet() {
  std::unique_lock lock(mutex_);
  const unsigned meet = meets_;
  if (++arrived_ == parts()) {
    arrived_ = 0;
    ++meets_;
    all_met_.notify_all();
  }
  all_met_.wait(lock, [&] { return aborted_ || meets_ != meet; });
  require(!aborted_, "the parts of the net can no longer run together, because one has failed");
}

void ThreadPeers::Member::exchange(Context& ctx, std::span<const std::span<const float>> to,
                                   std::span<const std::span<float>> from) {
  Accelerator* const device = ctx.accelerator().get();
  const auto me = static_cast<std::size_t>(part_);
  offers_.assign(to.begin(), to.end());
  staged_.resize(device ? to.size() : 0);
  // Before any part waits: copies throw NotCapturable while a graph is captured.
  for (std::size_t q = 0; q < staged_.size(); ++q) {
    if (q == me) continue;
    const bool again = q > 0 && q - 1 != me && to[q].data() == to[q - 1].data();
    if (!again) {
      staged_[q].resize(to[q].size());
      device->to_host(staged_[q].data(), to[q].data(), to[q].size_bytes());
    }
    offers_[q] = again ? offers_[q - 1] : std::span<const float>(staged_[q]);
  }
  all_.meet();  // now all offers are there
  for (std::size_t q = 0; q < from.size(); ++q) {
    if (q == me) continue;
    const std::span<const float> offer = all_.members_[q].offers_[me];
    ensure(offer.size() == from[q].size(), "parts exchange as much as they expect");
    if (device)
      device->to_device(from[q].data(), offer.data(), offer.size_bytes());
    else
      std::copy(offer.begin(), offer.end(), from[q].begin());
  }
  all_.meet();  // now all have read them
}

}  // namespace doppio
