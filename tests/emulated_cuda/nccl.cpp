// The part of NCCL that src/cuda uses, for the emulated GPUs, with non-blocking communicators.
// Reports an abort during another thread's call.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "doppio/error.hpp"
#include "emulated_cuda/launch.hpp"

namespace {

using doppio::cuda::emulated::asked_for;
using doppio::cuda::emulated::enqueue;
using doppio::cuda::emulated::finish;
using doppio::cuda::emulated::note;
using doppio::cuda::emulated::reachable_by_all;
using doppio::cuda::emulated::with_all_gpus_open;

/// The calls of one rank in a group.
struct Part {
  struct Floats {
    float* values;
    std::size_t count;
  };
  std::vector<Floats> floats;
  cudaStream_t stream = nullptr;
  std::uint64_t preceding = 0;  ///< work items of its stream before them
};

/// The calls of all ranks in a group. The first stream that reaches it computes all means, but each
/// rank's memory receives them only when its own stream reaches it.
struct Means {
  std::vector<Part> parts;
  std::vector<std::vector<float>> values;

  bool fits() const {
    for (const Part& part : parts) {
      if (part.floats.size() != parts[0].floats.size()) return false;
      for (std::size_t k = 0; k < part.floats.size(); ++k)
        if (part.floats[k].count != parts[0].floats[k].count) return false;
    }
    return true;
  }

  void store(std::size_t rank) {
    if (values.empty()) compute();
    for (std::size_t k = 0; k < values.size(); ++k)
      std::copy(values[k].begin(), values[k].end(), parts[rank].floats[k].values);
  }

 private:
  void compute() {
    for (const Part& part : parts) finish(part.stream, part.preceding);
    with_all_gpus_open([&] {
      for (std::size_t k = 0; k < parts[0].floats.size(); ++k) {
        std::vector<float>& means = values.emplace_back(parts[0].floats[k].count);
        for (std::size_t i = 0; i < means.size(); ++i) {
          for (const Part& part : parts) means[i] += part.floats[k].values[i];
          means[i] /= static_cast<float>(parts.size());
        }
      }
    });
  }
};

/// A rendezvous of ranks.
struct Meeting {
  std::mutex mutex;
  std::condition_variable all_there;
  std::shared_ptr<Means> next;
  std::size_t there = 0;
  bool aborted = false;
};

thread_local int depth = 0;
thread_local Part asked;

}  // namespace

struct ncclComm {
  std::shared_ptr<Meeting> meeting;
  std::size_t rank, ranks;
  std::shared_ptr<Means> pending = nullptr;  ///< calls that wait for other ranks
  std::atomic<int> calls = 0;                ///< in progress
};

namespace {

using doppio::ensure;

thread_local ncclComm* asking = nullptr;

/// Marks a call with a communicator as in progress.
struct Call {
  ncclComm* const communicator;
  explicit Call(ncclComm* c) : communicator(c) { ++c->calls; }
  ~Call() { --communicator->calls; }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

/// Continues the communicator's pending calls, with a short wait for other ranks.
ncclResult_t proceed(ncclComm& communicator) {
  Meeting& meeting = *communicator.meeting;
  const std::shared_ptr<Means>& means = communicator.pending;
  std::unique_lock lock(meeting.mutex);
  if (means)
    meeting.all_there.wait_for(lock, std::chrono::milliseconds(1),
                               [&] { return meeting.next != means || meeting.aborted; });
  if (meeting.aborted) return ncclRemoteError;
  if (!means) return ncclSuccess;
  if (meeting.next == means) return ncclInProgress;
  const std::shared_ptr<Means> complete = std::exchange(communicator.pending, nullptr);
  if (!complete->fits()) return ncclInvalidArgument;
  note("NCCL");
  enqueue(complete->parts[communicator.rank].stream,
          [complete, rank = communicator.rank] { complete->store(rank); });
  return ncclSuccess;
}

ncclResult_t begin(ncclComm& communicator) {
  const Call call(&communicator);
  {
    Meeting& meeting = *communicator.meeting;
    const std::lock_guard lock(meeting.mutex);
    if (!meeting.next) meeting.next = std::make_shared<Means>();
    communicator.pending = meeting.next;
    meeting.next->parts.resize(communicator.ranks);
    meeting.next->parts[communicator.rank] = asked;
    if (++meeting.there == communicator.ranks) {
      meeting.there = 0;
      meeting.next = nullptr;
      meeting.all_there.notify_all();
    }
  }
  return proceed(communicator);
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "the emulated NCCL refuses"; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> latest = 0;
  *id = {};
  const int number = ++latest;
  std::memcpy(id->internal, &number, sizeof number);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* made, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  static std::map<int, std::weak_ptr<Meeting>> meetings;
  static std::mutex mutex;
  if (!config || config->blocking != 0) return ncclInvalidArgument;  // not emulated
  int number = 0;
  std::memcpy(&number, id.internal, sizeof number);
  const std::lock_guard lock(mutex);
  std::shared_ptr<Meeting> meeting = meetings[number].lock();
  if (!meeting) meetings[number] = meeting = std::make_shared<Meeting>();
  *made = new ncclComm{meeting, static_cast<std::size_t>(rank), static_cast<std::size_t>(ranks)};
  return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* status) {
  const Call call(communicator);
  *status = proceed(*communicator);
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  delete communicator;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  ensure(communicator->calls == 0, "a communicator is aborted that another thread uses");
  note("NCCL abort");
  {
    const std::lock_guard lock(communicator->meeting->mutex);
    communicator->meeting->aborted = true;
  }
  communicator->meeting->all_there.notify_all();
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  if (depth++ == 0) asked = {}, asking = nullptr;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t what, ncclComm_t communicator, cudaStream_t stream) {
  if (depth == 0 || from != to || type != ncclFloat || what != ncclAvg)
    return ncclInvalidArgument;  // not emulated
  if (!reachable_by_all(to)) return ncclUnhandledCudaError;
  asking = communicator;
  asked.floats.push_back({static_cast<float*>(to), count});
  asked.stream = stream;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--depth > 0) return ncclSuccess;
  if (!asking) return ncclSuccess;  // the group created communicators
  asked.preceding = asked_for(asked.stream);
  return begin(*asking);
}

}  // extern "C"
