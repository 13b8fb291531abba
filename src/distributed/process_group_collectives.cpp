// The collective calls of a process group.
#include <algorithm>
#include <cstring>

#include "distributed/process_group.hpp"
#include "doppio/error.hpp"

namespace doppio {

int ProcessGroup::next_tag() { return tag_ = (tag_ + 1) % kCollectiveTags; }

void ProcessGroup::all_gather_bytes(std::span<const std::byte> mine, std::span<std::byte> all) {
  const auto part = [&](int rank) {
    return all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size());
  };
  std::copy(mine.begin(), mine.end(), part(rank_).begin());
  const Handle work = make_work();
  post(work, [&, tag = next_tag()] {
    for (int rank = 0; rank < size_; ++rank) {
      if (rank == rank_) continue;
      receive(work, rank, tag, part(rank));
      send(work, rank, tag, mine);
    }
  });
  work->wait();
}

std::vector<std::string> ProcessGroup::all_gather(const std::string& text) {
  const std::vector<std::uint64_t> sizes = all_gather_value<std::uint64_t>(text.size());
  std::vector<std::string> all;
  for (const std::uint64_t size : sizes) all.emplace_back(size, '\0');
  all[static_cast<std::size_t>(rank_)] = text;
  const Handle work = make_work();
  post(work, [&, tag = next_tag()] {
    for (int rank = 0; rank < size_; ++rank) {
      if (rank == rank_) continue;
      std::string& theirs = all[static_cast<std::size_t>(rank)];
      if (!theirs.empty()) receive(work, rank, tag, std::as_writable_bytes(std::span(theirs)));
      if (!text.empty()) send(work, rank, tag, std::as_bytes(std::span(text)));
    }
  });
  work->wait();
  return all;
}

std::vector<double> ProcessGroup::sum(const std::vector<double>& values) {
  const std::size_t bytes = values.size() * sizeof(double);
  std::vector<double> sums(values.size()), one(values.size());
  for (const std::string& text :
       all_gather(std::string(reinterpret_cast<const char*>(values.data()), bytes))) {
    ensure(text.size() == bytes, "a rank adds another number of values");
    std::memcpy(one.data(), text.data(), bytes);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += one[i];
  }
  return sums;
}

std::string ProcessGroup::broadcast(const std::string& text) {
  return all_gather(rank_ == 0 ? text : std::string())[0];
}

namespace {

/// Calls `part` for consecutive parts of `values`, which are short enough for messages that move
/// one after the other.
template <class Value, class Part>
void in_messages(std::span<Value> values, Part part) {
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  for (std::size_t begin = 0; begin < values.size(); begin += kLongest)
    part(values.subspan(begin, std::min(kLongest, values.size() - begin)));
}

}  // namespace

void ProcessGroup::broadcast(std::span<float> values, int stride) {
  const int root = rank_ % stride;
  const Handle work = make_work();
  post(work, [&, tag = next_tag()] {
    in_messages(values, [&](std::span<float> message) {
      if (rank_ != root) receive(work, root, tag, std::as_writable_bytes(message));
      for (int rank = root + stride; rank < size_ && rank_ == root; rank += stride)
        send(work, rank, tag, std::as_bytes(message));
    });
  });
  work->wait();
}

void ProcessGroup::exchange(std::span<const Outgoing> outgoing,
                            std::span<const Incoming> incoming) {
  const Handle work = make_work();
  post(work, [&] {
    for (const Incoming& in : incoming)
      in_messages(in.values, [&](std::span<float> message) {
        receive(work, in.from, kExchangeTag, std::as_writable_bytes(message));
      });
    for (const Outgoing& out : outgoing)
      in_messages(out.values, [&](std::span<const float> message) {
        send(work, out.to, kExchangeTag, std::as_bytes(message));
      });
  });
  work->wait();
}

}  // namespace doppio
