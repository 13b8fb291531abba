// The part of NCCL that src/cuda uses, for the emulated cards. Where a real one lets the host go on
// at once, this one waits for all ranks to ask.
#include <nccl.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/emulated/launch.hpp"

namespace {

using doppio::cuda::emulated::asked_for;
using doppio::cuda::emulated::enqueue;
using doppio::cuda::emulated::finish;
using doppio::cuda::emulated::note;
using doppio::cuda::emulated::reachable_by_all;
using doppio::cuda::emulated::with_all_cards_open;

/// What one rank asks for in a group of calls.
struct Part {
  struct Floats {
    float* values;
    std::size_t count;
  };
  std::vector<Floats> floats;
  cudaStream_t stream = nullptr;
  std::uint64_t behind = 0;  ///< pieces of its stream's work
};

/// A group of calls of all ranks. The first stream that gets there computes for all, but each rank
/// finds the means in its memory only when its own stream has got there.
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
    for (const Part& part : parts) finish(part.stream, part.behind);
    with_all_cards_open([&] {
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

/// Ranks that meet.
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
};

namespace {

thread_local ncclComm* asking = nullptr;

ncclResult_t meet() {
  const std::shared_ptr<Meeting> meeting = asking->meeting;  // it may be aborted meanwhile
  const std::size_t rank = asking->rank, ranks = asking->ranks;
  std::unique_lock lock(meeting->mutex);
  if (!meeting->next) meeting->next = std::make_shared<Means>();
  const std::shared_ptr<Means> means = meeting->next;
  means->parts.resize(ranks);
  means->parts[rank] = asked;
  if (++meeting->there == ranks) {
    meeting->there = 0;
    meeting->next = nullptr;
    meeting->all_there.notify_all();
  } else {
    meeting->all_there.wait(lock, [&] { return meeting->next != means || meeting->aborted; });
  }
  if (meeting->aborted) return ncclRemoteError;
  if (!means->fits()) return ncclInvalidArgument;
  note("NCCL");
  enqueue(asked.stream, [means, rank] { means->store(rank); });
  return ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "the emulated NCCL refuses"; }

ncclResult_t ncclCommInitAll(ncclComm_t* made, int ranks, const int*) {
  const auto meeting = std::make_shared<Meeting>();
  for (int rank = 0; rank < ranks; ++rank)
    made[rank] =
        new ncclComm{meeting, static_cast<std::size_t>(rank), static_cast<std::size_t>(ranks)};
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  delete communicator;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  {
    const std::lock_guard lock(communicator->meeting->mutex);
    communicator->meeting->aborted = true;
  }
  communicator->meeting->all_there.notify_all();
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  if (depth++ == 0) asked = {};
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t what, ncclComm_t communicator, cudaStream_t stream) {
  if (depth == 0 || from != to || type != ncclFloat || what != ncclAvg)
    return ncclInvalidArgument;  // of no use to us
  if (!reachable_by_all(to)) return ncclUnhandledCudaError;
  asking = communicator;
  asked.floats.push_back({static_cast<float*>(to), count});
  asked.stream = stream;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--depth > 0) return ncclSuccess;
  asked.behind = asked_for(asked.stream);
  return meet();
}

}  // extern "C"
