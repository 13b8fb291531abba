#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "core/peers.hpp"

namespace doppio {

/// Connects the parts of a net that run on threads of this process, one thread each. Accelerators
/// exchange through host memory.
class ThreadPeers {
 public:
  explicit ThreadPeers(int parts);
  ThreadPeers(const ThreadPeers&) = delete;

  /// The Peers of part `index`, for its Context.
  Peers& part(int index) { return members_[static_cast<std::size_t>(index)]; }
  int parts() const { return static_cast<int>(members_.size()); }
  /// Makes pending and later exchanges throw Error, so that no part waits for one that has failed.
  /// Thread-safe.
  void abort() noexcept;

 private:
  class Member final : public Peers {
   public:
    Member(ThreadPeers& all, int part) : all_(all), part_(part) {}
    int part() const override { return part_; }
    int parts() const override { return all_.parts(); }
    void exchange(Context& ctx, std::span<const std::span<const float>> to,
                  std::span<const std::span<float>> from) override;

   private:
    friend class ThreadPeers;
    ThreadPeers& all_;
    const int part_;
    std::vector<std::vector<float>> staged_;      // copies on the host of what an accelerator sends
    std::vector<std::span<const float>> offers_;  // on the host, one per part
  };

  void meet();

  std::deque<Member> members_;
  std::mutex mutex_;
  std::condition_variable all_met_;
  int arrived_ = 0;     // members that wait in meet()
  unsigned meets_ = 0;  // completed
  bool aborted_ = false;
};

}  // namespace doppio
