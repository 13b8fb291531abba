// All-reduce over several GPUs with NCCL.
#include "core/communicator.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "cuda/check.hpp"
#include "cuda/runtime/device.hpp"
#include "doppio/error.hpp"
#ifdef DOPPIO_NCCL
#include "cuda/runtime/nccl.hpp"
#endif

namespace doppio {

#ifdef DOPPIO_NCCL
namespace {

using cuda::check_nccl;
using cuda::nccl;

/// Uses non-blocking communicators: NCCL's calls return at once, and a rank that waits for others
/// notices if one has failed. No rank stays inside NCCL for long, so abort() can wait until all
/// have left it.
class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::vector<std::shared_ptr<Accelerator>> accelerators, const GlobalRanks& ranks)
      : accelerators_(std::move(accelerators)),
        first_(static_cast<std::size_t>(ranks.first)),
        ranks_(accelerators_.size()) {
    // Within a process NCCL accesses peer memory directly, but memory from pools, unlike that from
    // cudaMalloc, is not accessible to peers by default.
    for (const auto& accelerator : accelerators_)
      for (const auto& other : accelerators_)
        if (other->id() != accelerator->id()) cuda::open_memory_to(*accelerator, other->id());
    try {
      begin_connecting(ranks);
      for (const Rank& rank : ranks_) settle(rank, ncclInProgress, kConnecting);
    } catch (...) {
      abort();
      throw;
    }
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  ~NcclCommunicator() override {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) try {
        if (!ranks_[rank].communicator) continue;
        accelerators_[rank]->stream();  // makes its GPU the current one
        nccl().CommDestroy(ranks_[rank].communicator);
      } catch (const InternalError&) {  // the GPU has failed or CUDA has shut down: nothing to free
      }
  }

  void all_reduce_mean(std::size_t number, std::span<const DeviceFloats> floats) override {
    const std::size_t local = number - first_;
    Rank& rank = ranks_[local];
    const std::lock_guard lock(rank.busy);
    refuse_aborted();
    const auto stream = static_cast<cudaStream_t>(accelerators_[local]->stream());
    check_nccl(nccl().GroupStart(), "beginning a group");  // one kernel for all of them
    ncclResult_t asked = ncclSuccess;
    for (const DeviceFloats& f : floats)
      if (asked == ncclSuccess)
        asked = nccl().AllReduce(f.values, f.values, static_cast<std::size_t>(f.count), ncclFloat,
                                 ncclAvg, rank.communicator, stream);
    const ncclResult_t begun = nccl().GroupEnd();
    if (asked != ncclInProgress) check_nccl(asked, kAveraging);
    settle(rank, begun, kAveraging);
  }

  void abort() noexcept override {
    aborted_ = true;
    for (Rank& rank : ranks_) {
      const std::lock_guard lock(rank.busy);
      if (const ncclComm_t communicator = std::exchange(rank.communicator, nullptr))
        nccl().CommAbort(communicator);
    }
  }

 private:
  static constexpr const char *kConnecting = "connecting the GPUs", *kAveraging = "computing means";

  struct Rank {
    ncclComm_t communicator = nullptr;
    std::mutex busy;  ///< held during NCCL calls
  };

  void begin_connecting(const GlobalRanks& ranks) {
    ncclUniqueId id;
    check_nccl(nccl().GetUniqueId(&id), kConnecting);
    if (ranks.count > 0) {
      const std::string first = ranks.broadcast(std::string(id.internal, sizeof id.internal));
      ensure(first.size() == sizeof id.internal, "NCCL's id has another size on rank 0");
      std::copy(first.begin(), first.end(), id.internal);
    }
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const int local = static_cast<int>(ranks_.size());
    const int count = ranks.count > 0 ? ranks.count : local;
    check_nccl(nccl().GroupStart(), kConnecting);
    ncclResult_t asked = ncclSuccess;
    for (int rank = 0; rank < local && (asked == ncclSuccess || asked == ncclInProgress); ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      accelerators_[at]->stream();  // makes its GPU the current one
      asked = nccl().CommInitRankConfig(&ranks_[at].communicator, count, id, ranks.first + rank,
                                        &config);
    }
    const ncclResult_t begun = nccl().GroupEnd();
    for (const ncclResult_t status : {asked, begun})
      if (status != ncclInProgress) check_nccl(status, kConnecting);
  }

  /// Waits until NCCL has started a rank's operation.
  void settle(const Rank& rank, ncclResult_t status, const char* doing) const {
    while (status == ncclInProgress) {
      refuse_aborted();
      check_nccl(nccl().CommGetAsyncError(rank.communicator, &status), doing);
      if (status == ncclInProgress) std::this_thread::yield();
    }
    check_nccl(status, doing);
  }

  void refuse_aborted() const {
    require(!aborted_, "the GPUs can no longer train together, because one has failed");
  }

  const std::vector<std::shared_ptr<Accelerator>> accelerators_;
  const std::size_t first_;  // rank of the first accelerator
  std::vector<Rank> ranks_;
  std::atomic<bool> aborted_ = false;
};

}  // namespace

bool communicators_span_processes() {
#ifdef DOPPIO_EMULATED_CUDA
  return false;  // the emulated NCCL is part of a process
#else
  return nccl().why_not.empty();
#endif
}

std::unique_ptr<Communicator> make_communicator(
    const std::vector<std::shared_ptr<Accelerator>>& accelerators, const GlobalRanks& ranks) {
  require(std::find(accelerators.begin(), accelerators.end(), nullptr) == accelerators.end(),
          "only GPUs can train together");
  require(nccl().why_not.empty(), "several GPUs need NCCL to train together, and ", nccl().why_not);
  return std::make_unique<NcclCommunicator>(accelerators, ranks);
}
#else
bool communicators_span_processes() { return false; }

std::unique_ptr<Communicator> make_communicator(const std::vector<std::shared_ptr<Accelerator>>&,
                                                const GlobalRanks&) {
  throw Error(
      "several GPUs need NCCL to train together, and this build was made without its header");
}
#endif

}  // namespace doppio
