// Means over several cards, by NCCL.
#include "core/communicator.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "core/accelerator.hpp"
#include "cuda/check.hpp"
#include "doppio/error.hpp"
#ifdef DOPPIO_NCCL
#include "cuda/nccl.hpp"
#endif

namespace doppio {

#ifdef DOPPIO_NCCL
namespace {

using cuda::check_nccl;
using cuda::nccl;

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(std::vector<std::shared_ptr<Accelerator>> accelerators)
      : accelerators_(std::move(accelerators)), communicators_(accelerators_.size()) {
    std::vector<int> ids;
    for (const auto& accelerator : accelerators_) ids.push_back(accelerator->id());
    // Within one process NCCL may read and write the other cards' memory itself, and that of our
    // pools, unlike that of cudaMalloc, is not open to them.
    for (const auto& accelerator : accelerators_)
      for (const int id : ids)
        if (id != accelerator->id()) accelerator->open_to(id);
    check_nccl(nccl().CommInitAll(communicators_.data(), static_cast<int>(ids.size()), ids.data()),
               "connecting the GPUs");
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  ~NcclCommunicator() override {
    if (aborted_) return;
    for (std::size_t rank = 0; rank < communicators_.size(); ++rank) {
      accelerators_[rank]->stream();  // makes its card the current one
      nccl().CommDestroy(communicators_[rank]);
    }
  }

  void average(std::size_t rank, std::span<const DeviceFloats> floats) override {
    require(!aborted_, "the GPUs cannot train together any more, because one has failed");
    const auto stream = static_cast<cudaStream_t>(accelerators_[rank]->stream());
    check_nccl(nccl().GroupStart(), "beginning a group");  // one kernel for all of them
    ncclResult_t asked = ncclSuccess;
    for (const DeviceFloats& f : floats)
      if (asked == ncclSuccess)
        asked = nccl().AllReduce(f.values, f.values, static_cast<std::size_t>(f.count), ncclFloat,
                                 ncclAvg, communicators_[rank], stream);
    const ncclResult_t begun = nccl().GroupEnd();
    check_nccl(asked, "computing means");
    check_nccl(begun, "computing means");
  }

  void abort() noexcept override {
    if (aborted_.exchange(true)) return;
    for (const ncclComm_t communicator : communicators_) nccl().CommAbort(communicator);
  }

 private:
  const std::vector<std::shared_ptr<Accelerator>> accelerators_;
  std::vector<ncclComm_t> communicators_;
  std::atomic<bool> aborted_ = false;
};

}  // namespace

std::unique_ptr<Communicator> connect(std::vector<std::shared_ptr<Accelerator>> accelerators) {
  require(std::find(accelerators.begin(), accelerators.end(), nullptr) == accelerators.end(),
          "only GPUs can train together");
  require(nccl().why_not.empty(), "several GPUs need NCCL to train together, and ", nccl().why_not);
  return std::make_unique<NcclCommunicator>(std::move(accelerators));
}
#else
std::unique_ptr<Communicator> connect(std::vector<std::shared_ptr<Accelerator>>) {
  throw Error(
      "several GPUs need NCCL to train together, and this build was made without its header");
}
#endif

}  // namespace doppio
