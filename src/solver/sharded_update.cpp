#include "solver/sharded_update.hpp"

#include <algorithm>
#include <utility>

#include "distributed/ordered_sum.hpp"
#include "doppio.pb.h"
#include "solver/replica.hpp"

namespace doppio {

namespace {

// Pieces that a rank receives at a time. Several, because a network is idle between messages.
constexpr std::size_t kInboxes = 4;
constexpr int kFirstTag = 1024;  // smaller ones are the group's own
constexpr int kTags = 31000;     // for gradients and results together

/// Returns the most values of a piece, so that all inboxes together take 64 MiB.
Index piece_values(int ranks) {
  constexpr Index kTogether = Index{16} << 20;
  return std::clamp(kTogether / static_cast<Index>(kInboxes) / std::max(1, ranks - 1),
                    Index{1} << 14, Index{1} << 20);
}

int gradient_tag(std::size_t piece) { return kFirstTag + static_cast<int>(2 * piece % kTags); }
int result_tag(std::size_t piece) { return gradient_tag(piece) + 1; }

template <class Value>
std::span<const std::byte> bytes(const Value* values, Index count) {
  return std::as_bytes(std::span(values, static_cast<std::size_t>(count)));
}
template <class Value>
std::span<std::byte> writable_bytes(Value* values, Index count) {
  return std::as_writable_bytes(std::span(values, static_cast<std::size_t>(count)));
}

}  // namespace

std::vector<SquaredNorms> sum_over_ranks(ProcessGroup& group, std::span<const SquaredNorms> norms) {
  std::vector<double> values;
  for (const SquaredNorms& n : norms) values.insert(values.end(), {n.weights, n.gradient});
  values = group.sum(values);
  std::vector<SquaredNorms> sums;
  for (std::size_t i = 0; i < values.size(); i += 2) sums.push_back({values[i], values[i + 1]});
  return sums;
}

ShardedUpdate::ShardedUpdate(ProcessGroup& group, Replica& replica, const SolverParameter& param,
                             int ranks_per_copy)
    : group_(group),
      ranks_per_copy_(ranks_per_copy),
      replica_(replica),
      rounded_(param.gradient_type() == BFLOAT16),
      by_library_(param.reduction() == SolverParameter::LIBRARY),
      updates_all_(rounded_ || by_library_),
      rule_(make_update_rule(param, Device::cpu)),
      gradients_(group.make_work()),
      results_(group.make_work()) {
  require_field(param.gradient_type() != TF32, "gradient_type",
                "gradients are sent as FLOAT32 or BFLOAT16, not as TF32");
  require_field(
      !rounded_ || !by_library_, "reduction",
      "MPI cannot add bfloat16: use either reduction: LIBRARY or gradient_type: BFLOAT16");
  require_field(!by_library_ || ranks_per_copy_ == 1, "reduction",
                "reduction: LIBRARY adds over all ranks, but model_parallel splits the net over ",
                ranks_per_copy_, " of them");
  memory_.resize(replica.net.parameters().size());
  pieces_of_.resize(replica.net.gradient_groups().size());
  outgoing_.resize(pieces_of_.size());
  for (std::size_t g = 0; g < pieces_of_.size(); ++g) add_pieces(g);
  for (std::size_t i = 0; i < kInboxes; ++i) {
    inboxes_.push_back(std::make_unique<Inbox>());
    free_.push_back(inboxes_.back().get());
  }
}

/// Divides the values of a group evenly among the ranks, and long parts into pieces.
void ShardedUpdate::add_pieces(std::size_t g) {
  const std::vector<Parameter>& parameters = replica_.net.parameters();
  const int ranks = size();
  Index total = 0;
  for (const std::size_t p : replica_.net.gradient_groups()[g])
    if (parameters[p].blob->needs_grad) total += parameters[p].blob->count();
  // Multiples of a vector register's length.
  const auto end_of = [&](int rank) {
    return rank + 1 == ranks ? total : total * (rank + 1) / ranks / 16 * 16;
  };
  const Index longest = piece_values(ranks);
  Index offset = 0;
  int owner = 0;
  for (const std::size_t p : replica_.net.gradient_groups()[g]) {
    if (!parameters[p].blob->needs_grad) continue;
    const Index count = parameters[p].blob->count();
    for (Index begin = 0; begin < count;) {
      while (offset >= end_of(owner)) ++owner;
      const Index values = std::min({count - begin, end_of(owner) - offset, longest});
      pieces_of_[g].push_back(pieces_.size());
      pieces_.push_back({p, begin, values, owner, g, offset});
      begin += values;
      offset += values;
    }
  }
  for (const std::size_t i : pieces_of_[g]) {
    const Piece& piece = pieces_[i];
    const std::size_t value = rounded_ ? sizeof(Bf16) : sizeof(float);
    bytes_ += static_cast<std::size_t>(piece.count) * value *
              static_cast<std::size_t>(owned(piece) ? ranks - 1 : 1);
  }
  if (rounded_) outgoing_[g].resize(static_cast<std::size_t>(total));
}

void ShardedUpdate::begin(std::size_t g, const UpdateStep* step) {
  for (const std::size_t p : replica_.net.gradient_groups()[g])
    if (replica_.net.parameters()[p].blob->needs_grad) {
      memory_[p] = replica_.memory(p, host_);
      replica_.net.parameters()[p].blob->grad.update(host_);  // it becomes the mean
    }
  history_whole_ = history_whole_ && updates_all_;
  group_.post(gradients_, [this, g, own = step ? std::optional(*step) : std::nullopt,
                           rates = step ? replica_.learning_rates(*step) : std::vector<float>()] {
    step_ = own;
    rates_ = rates;
    start(g);
  });
}

float* ShardedUpdate::gradient(const Piece& piece) const {
  return const_cast<float*>(memory_[piece.parameter].grad) + piece.begin;
}

/// Sends the gradients of a group to their owners, and waits for the results.
void ShardedUpdate::start(std::size_t g) {
  for (const std::size_t i : pieces_of_[g]) {
    const Piece& piece = pieces_[i];
    if (by_library_) {
      group_.all_reduce_sum(gradients_, {gradient(piece), static_cast<std::size_t>(piece.count)},
                            [this, i, &piece] {
        const auto ranks = static_cast<float>(size());
        std::for_each_n(gradient(piece), piece.count, [=](float& v) { v /= ranks; });
        averaged(i);
      });
      continue;
    }
    Bf16* const rounded = rounded_ ? outgoing_[g].data() + piece.offset : nullptr;
    if (rounded)
      std::transform(gradient(piece), gradient(piece) + piece.count, rounded,
                     [](float v) { return Bf16(v); });
    if (owned(piece)) {
      waiting_.push_back(i);
      continue;
    }
    if (rounded) {
      group_.send(gradients_, global(piece.owner), gradient_tag(i), bytes(rounded, piece.count),
                  [this, i, &piece, rounded] {
        group_.receive(gradients_, global(piece.owner), result_tag(i),
                       writable_bytes(rounded, piece.count), [this, i, &piece, rounded] {
                         std::copy_n(rounded, piece.count, gradient(piece));
                         averaged(i);
                       });
      });
      continue;
    }
    group_.send(gradients_, global(piece.owner), gradient_tag(i),
                bytes(gradient(piece), piece.count));
    group_.receive(results_, global(piece.owner), result_tag(i),
                   writable_bytes(memory_[piece.parameter].weight + piece.begin, piece.count));
  }
  receive_next();
}

/// Receives own pieces for which there is an inbox.
void ShardedUpdate::receive_next() {
  while (!waiting_.empty() && !free_.empty()) {
    const std::size_t i = waiting_.front();
    const Piece& piece = pieces_[i];
    Inbox& inbox = *free_.back();
    waiting_.pop_front();
    free_.pop_back();
    const auto others = static_cast<std::size_t>(size() - 1);
    const auto count = static_cast<std::size_t>(piece.count);
    if (inbox.values.size() < others * count) inbox.values.resize(others * count);
    if (rounded_ && inbox.rounded.size() < others * count) inbox.rounded.resize(others * count);
    inbox.arriving = others;
    std::size_t place = 0;
    for (int other = 0; other < size(); ++other) {
      if (other == rank()) continue;
      const std::size_t at = count * place++;
      group_.receive(gradients_, global(other), gradient_tag(i),
                     rounded_ ? writable_bytes(inbox.rounded.data() + at, piece.count)
                              : writable_bytes(inbox.values.data() + at, piece.count),
                     [this, i, &inbox] {
        if (--inbox.arriving > 0) return;
        average(i, inbox);
        free_.push_back(&inbox);
        receive_next();
      });
    }
  }
}

/// Averages an own piece, of which all other ranks' gradients are in `inbox`.
void ShardedUpdate::average(std::size_t i, Inbox& inbox) {
  const Piece& piece = pieces_[i];
  const auto others = static_cast<Index>(size() - 1);
  float* const own = gradient(piece);
  Bf16* const rounded = rounded_ ? outgoing_[piece.group].data() + piece.offset : nullptr;
  if (rounded) {
    std::copy_n(inbox.rounded.data(), others * piece.count, inbox.values.data());
    std::copy_n(rounded, piece.count, own);
  }
  std::vector<const float*> parts;
  for (Index other = 0; other < others; ++other)
    parts.push_back(inbox.values.data() + other * piece.count);
  parts.insert(parts.begin() + rank(), own);
  ordered_mean(parts, piece.count, own);
  if (rounded) {
    for (Index k = 0; k < piece.count; ++k) own[k] = rounded[k] = Bf16(own[k]);
    for (int other = 0; other < size(); ++other)
      if (other != rank())
        group_.send(gradients_, global(other), result_tag(i), bytes(rounded, piece.count));
  }
  averaged(i);
}

void ShardedUpdate::averaged(std::size_t i) {
  if (step_) apply(i);
}

/// Updates a piece, and sends the weights to the ranks that do not update it themselves.
void ShardedUpdate::apply(std::size_t i) {
  const Piece& piece = pieces_[i];
  const ParameterMemory& all = memory_[piece.parameter];
  const Index begin = piece.begin;
  rule_->update(
      host_, replica_.step_of(*step_, piece.parameter, rates_),
      {piece.count, all.grad + begin, all.weight + begin, all.first + begin, all.second + begin});
  if (updates_all_) return;
  for (int other = 0; other < size(); ++other)
    if (other != rank())
      group_.send(results_, global(other), result_tag(i), bytes(all.weight + begin, piece.count));
}

std::vector<SquaredNorms> ShardedUpdate::squared_norms() {
  gradients_->wait();
  const std::vector<Parameter>& parameters = replica_.net.parameters();
  std::vector<std::span<const float>> ranges;
  for (const Parameter& p : parameters)
    ranges.push_back(replica_.lars ? values_of(host_, p.blob->data) : std::span<const float>());
  std::vector<std::size_t> own;
  for (std::size_t i = 0; i < pieces_.size(); ++i)
    if (updates_all_ || owned(pieces_[i])) {
      own.push_back(pieces_[i].parameter);
      ranges.emplace_back(gradient(pieces_[i]), static_cast<std::size_t>(pieces_[i].count));
    }
  const std::vector<double> sums = rule_->squared_norms(host_, ranges);
  std::vector<SquaredNorms> norms(parameters.size());
  for (std::size_t k = 0; k < own.size(); ++k)
    norms[own[k]].gradient += sums[parameters.size() + k];
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const bool counts = parameters[p].parts > 1 || group_.rank() % ranks_per_copy_ == 0;
    if (rank() == 0 && counts) norms[p].weights = sums[p];
    if ((updates_all_ && rank() > 0) || !counts) norms[p].gradient = 0;
  }
  return sum_over_ranks(group_, norms);
}

void ShardedUpdate::update(const UpdateStep& step, std::vector<float> rates) {
  gradients_->wait();
  group_.post(results_, [this, step, rates = std::move(rates)] {
    step_ = step;
    rates_ = rates;
    for (std::size_t i = 0; i < pieces_.size(); ++i)
      if (updates_all_ || owned(pieces_[i])) apply(i);
  });
}

void ShardedUpdate::finish() {
  gradients_->wait();
  results_->wait();
}

void ShardedUpdate::gather_history() {
  if (history_whole_) return;
  history_whole_ = true;
  const int sets = replica_.rule->history_count();
  const ProcessGroup::Handle work = group_.make_work();
  group_.post(work, [&] {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const Piece& piece = pieces_[i];
      if (piece.owner == 0) continue;
      for (int set = 0; set < sets; ++set) {
        const ParameterMemory& all = memory_[piece.parameter];
        float* const values = (set == 0 ? all.first : all.second) + piece.begin;
        if (owned(piece)) group_.send(work, global(0), result_tag(i), bytes(values, piece.count));
        if (rank() == 0)
          group_.receive(work, global(piece.owner), result_tag(i),
                         writable_bytes(values, piece.count));
      }
    }
  });
  work->wait();
}

}  // namespace doppio
