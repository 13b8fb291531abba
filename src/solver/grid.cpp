#include "solver/grid.hpp"

#include <omp.h>

#include <algorithm>
#include <utility>

#include "core/accelerator.hpp"
#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "math/tensor_part.hpp"

namespace doppio {

namespace {

Error parts_error(const SourcedNet& net, const std::string& message) {
  const char* field = "model_parallel.model_parts";
  const Location where = net.fields.find(field);
  return Error(message, where.file.empty() ? Location{net.file, 0, 0} : where, field);
}

/// The communicators of several parts, as one whose ranks are the devices of the grid.
class PartCommunicators final : public Communicator {
 public:
  /// In the order of the parts; null for those that are not in this process.
  explicit PartCommunicators(std::vector<std::unique_ptr<Communicator>> communicators)
      : communicators_(std::move(communicators)) {}
  void all_reduce_mean(std::size_t rank, std::span<const DeviceFloats> floats) override {
    const std::size_t parts = communicators_.size();
    communicators_[rank % parts]->all_reduce_mean(rank / parts, floats);
  }
  void abort() noexcept override {
    for (const auto& communicator : communicators_)
      if (communicator) communicator->abort();
  }

 private:
  std::vector<std::unique_ptr<Communicator>> communicators_;
};

}  // namespace

int model_parts(const SourcedNet& net) {
  const std::uint32_t parts = net.net.model_parallel().model_parts();
  if (parts == 0 || parts > 1024)
    throw parts_error(net, str("model_parts must be from 1 to 1024, it is ", parts));
  return static_cast<int>(parts);
}

Grid::Grid(std::span<Context* const> contexts, const SourcedNet& net, ProcessGroup* group)
    : group_(group), parts_(model_parts(net)), contexts_(contexts.begin(), contexts.end()) {
  const auto parts = static_cast<std::size_t>(parts_);
  if (group_) {
    const int own = static_cast<int>(contexts_.size());
    for (const int others : group_->all_gather_value(own))
      require(others == own, "this rank has ", own, " GPUs and another has ", others,
              "; all ranks need as many");
    if (contexts_.size() == 1) ranks_per_copy_ = parts_;
    if (group_->size() % ranks_per_copy_ != 0)
      throw parts_error(net, str("model_parts ", parts_, " needs as many processes or a multiple, ",
                                 "not ", group_->size(), "; change mpirun -n, or set it to 1"));
  }
  Context& first = *contexts.front();
  while (!group_ && contexts.size() == 1 && !first.accelerator() && contexts_.size() < parts) {
    made_.push_back(std::make_unique<Context>(first.seed));
    made_.back()->dry_run = first.dry_run;
    made_.back()->fusion = first.fusion;
    made_.back()->reference = first.reference;
    contexts_.push_back(made_.back().get());
  }
  if (contexts_.size() % static_cast<std::size_t>(local_parts()) != 0)
    throw parts_error(net, str("model_parts ", parts_, " needs as many GPUs or a multiple, not ",
                               contexts_.size(), "; name them with --gpu, or set it to 1"));
  threads_ = omp_get_max_threads();
  if (!first.accelerator()) threads_ = std::max(1, threads_ / static_cast<int>(devices()));
  connect_copies();
  if (parts_ > 1) connect_parts();
}

void Grid::connect_parts() {
  if (ranks_per_copy_ > 1) {
    rank_peers_ = std::make_unique<RankPeers>(*group_, parts_);
    contexts_.front()->peers = rank_peers_.get();
    return;
  }
  for (std::size_t d = 0; d < contexts_.size(); ++d) {
    if (part(d).index == 0) peers_.push_back(std::make_unique<ThreadPeers>(parts_));
    contexts_[d]->peers = &peers_.back()->part(part(d).index);
  }
}

void Grid::connect_copies() {
  const bool across = group_ && contexts_.front()->accelerator() && communicators_span_processes();
  require(!group_ || across || devices() == 1,
          "several GPUs in each of several processes need NCCL");
  if (shard(0).count == 1 || (group_ && !across)) return;
  std::vector<std::unique_ptr<Communicator>> communicators(static_cast<std::size_t>(parts_));
  for (std::size_t p = 0; p < static_cast<std::size_t>(local_parts()); ++p) {
    std::vector<std::shared_ptr<Accelerator>> copies;
    for (std::size_t d = p; d < devices(); d += static_cast<std::size_t>(local_parts()))
      copies.push_back(contexts_[d]->accelerator());
    GlobalRanks ranks;
    const auto root = static_cast<std::size_t>(part(p).index % ranks_per_copy_);
    const auto broadcast = [this, root](const std::string& text) {
      return group_->all_gather(text)[root];
    };
    if (across) ranks = {shard(p).index, shard(p).count, broadcast};
    communicators[static_cast<std::size_t>(part(p).index)] = make_communicator(copies, ranks);
  }
  communicator_ = parts_ == 1 ? std::move(communicators[0])
                              : std::make_unique<PartCommunicators>(std::move(communicators));
}

Grid::~Grid() {
  if (parts_ > 1)
    for (Context* ctx : contexts_) ctx->peers = nullptr;
}

int Grid::first_device() const {
  return group_ ? group_->rank() * static_cast<int>(contexts_.size()) : 0;
}

Shard Grid::shard(std::size_t device) const {
  const int ranks = group_ ? group_->size() : 1;
  int processes = 1;  // on this machine
  for (int rank = 0; group_ && rank < ranks; ++rank)
    if (rank != group_->rank() && group_->member(rank).local) ++processes;
  const int own = static_cast<int>(contexts_.size());
  return {(first_device() + static_cast<int>(device)) / parts_, ranks * own / parts_,
          processes * own};
}

ChannelPart Grid::part(std::size_t device) const {
  return {(first_device() + static_cast<int>(device)) % parts_, parts_};
}

Shard Grid::process_shard() const {
  if (!group_) return {};
  return {group_->rank() / ranks_per_copy_, group_->size() / ranks_per_copy_};
}

void Grid::abort_exchanges() noexcept {
  for (const auto& peers : peers_) peers->abort();
}

void Grid::copy_tensors(Direction direction, const std::vector<Tensors>& parts,
                        const Tensors& whole) const {
  const bool to_whole = direction == Direction::to_whole;
  if (process_shard().index > 0) return;
  ensure(part(0).index > 0 || whole.size() == parts.front().size(), "parts have all parameters");
  for (std::size_t i = 0; i < parts.front().size(); ++i) {
    const auto copy = [&](Tensor& part_of_it, const ChannelPart& part) {
      to_whole ? insert_part(part_of_it, part, *whole[i]) : copy_part(*whole[i], part, part_of_it);
    };
    Tensor& own = *parts.front()[i];
    if (part(0).index > 0) {
      to_whole ? send(own, 0) : receive(own, 0);
      continue;
    }
    for (std::size_t p = 0; p < parts.size(); ++p) copy(*parts[p][i], part(p));
    for (int rank = 1; rank < ranks_per_copy_; ++rank) {
      Tensor theirs;
      theirs.reshape(own.shape());
      if (to_whole) receive(theirs, rank);
      copy(theirs, {rank, parts_});
      if (!to_whole) send(theirs, rank);
    }
  }
}

void Grid::send(const Tensor& tensor, int rank) const {
  const ProcessGroup::Outgoing out{rank,
                                   {tensor.read_host(), static_cast<std::size_t>(tensor.count())}};
  group_->exchange({&out, 1}, {});
}

void Grid::receive(Tensor& tensor, int rank) const {
  const ProcessGroup::Incoming in{rank,
                                  {tensor.write_host(), static_cast<std::size_t>(tensor.count())}};
  group_->exchange({}, {&in, 1});
}

ThreadLimit::ThreadLimit(int threads) : before_(omp_get_max_threads()) {
  if (threads != before_) omp_set_num_threads(threads);
}

ThreadLimit::~ThreadLimit() {
  if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
}

}  // namespace doppio
