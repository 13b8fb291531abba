#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/communicator.hpp"
#include "core/thread_peers.hpp"
#include "distributed/rank_peers.hpp"
#include "doppio/context.hpp"
#include "net/format/source_map.hpp"
#include "solver/whole_net.hpp"

namespace doppio {

class ProcessGroup;

/// Returns the number of parts that `net` is split into (model_parallel). Throws: Error with the
/// line of model_parts if it is 0.
int model_parts(const SourcedNet& net);

/// The devices that train a net: copies of it, each with a shard of every batch, and each on as
/// many devices as the net has parts. The devices of all processes are numbered copy * parts +
/// part, those of rank 0 first. A process has either all parts of some copies or one part of one.
class Grid {
 public:
  /// The devices of `contexts`, and of the other processes of `group` if it is not null. One
  /// context on the CPU of a single process suffices for all parts, which share its cores.
  /// Throws: Error, with the line of model_parts if the parts do not divide the devices.
  Grid(std::span<Context* const> contexts, const SourcedNet& net, ProcessGroup* group = nullptr);
  ~Grid();
  Grid(const Grid&) = delete;
  Grid& operator=(const Grid&) = delete;

  int parts() const { return parts_; }
  /// Parts of each copy that are in this process.
  int local_parts() const { return parts_ / ranks_per_copy_; }
  /// Processes that hold one copy together; 1 if each holds whole copies.
  int ranks_per_copy() const { return ranks_per_copy_; }

  /// Devices of this process.
  std::size_t devices() const { return contexts_.size(); }
  Context& context(std::size_t device) const { return *contexts_[device]; }
  Shard shard(std::size_t device) const;
  ChannelPart part(std::size_t device) const;
  /// This process among all, or, if several hold one copy together, these among all such groups.
  Shard process_shard() const;
  /// Averages among the copies of each part; null if there is one copy, or if processes have to do
  /// it by themselves.
  Communicator* communicator() const { return communicator_.get(); }
  /// OpenMP threads for one device: an equal share of those of the thread that made the grid, or
  /// all of them for accelerators.
  int threads() const { return threads_; }
  /// Makes the parts stop waiting for each other after one of them has failed. Thread-safe.
  void abort_exchanges() noexcept;

  /// Collective: copies the tensors of all parts of the first copy to their places in those of the
  /// whole net, on rank 0. `parts`: of this process.
  void gather(const std::vector<Tensors>& parts, const Tensors& whole) const {
    copy_tensors(Direction::to_whole, parts, whole);
  }
  /// The reverse.
  void scatter(const Tensors& whole, const std::vector<Tensors>& parts) const {
    copy_tensors(Direction::to_parts, parts, whole);
  }

 private:
  void connect_parts();
  void connect_copies();
  int first_device() const;
  enum class Direction { to_whole, to_parts };
  void copy_tensors(Direction direction, const std::vector<Tensors>& parts,
                    const Tensors& whole) const;
  void send(const Tensor& tensor, int rank) const;
  void receive(Tensor& tensor, int rank) const;

  ProcessGroup* const group_;
  const int parts_;
  int ranks_per_copy_ = 1, threads_ = 1;
  std::vector<std::unique_ptr<Context>> made_;  // for further parts on the CPU
  std::vector<Context*> contexts_;
  std::vector<std::unique_ptr<ThreadPeers>> peers_;  // one per copy, if this process has all parts
  std::unique_ptr<RankPeers> rank_peers_;            // if it has one
  std::unique_ptr<Communicator> communicator_;
};

/// For its lifetime, limits OpenMP in the calling thread to `threads`.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;

 private:
  const int before_;
};

}  // namespace doppio
