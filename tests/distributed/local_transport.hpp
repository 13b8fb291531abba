#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "distributed/transport.hpp"
#include "doppio/error.hpp"

namespace doppio {

/// What the transports of one run share: the messages that are on their way.
struct LocalNetwork {
  explicit LocalNetwork(int ranks) : size(ranks) {}
  using Route = std::tuple<int, int, int>;  // sender, receiver, tag
  const int size;
  std::mutex mutex;
  std::map<Route, std::deque<std::vector<std::byte>>> messages;
};

/// Ranks that are threads of one process.
class LocalTransport final : public Transport {
 public:
  LocalTransport(std::shared_ptr<LocalNetwork> network, int rank)
      : network_(std::move(network)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return network_->size; }
  std::string version() const override { return "threads"; }

  Request send(int to, int tag, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(network_->mutex);
    network_->messages[{rank_, to, tag}].emplace_back(bytes.begin(), bytes.end());
    sent_.push_back(next_);
    return next_++;
  }
  Request receive(int from, int tag, std::span<std::byte> bytes) override {
    receiving_.push_back({next_, {from, rank_, tag}, bytes});
    return next_++;
  }
  Request all_reduce_sum(std::span<float>) override { throw InternalError("not needed"); }

  void poll(std::vector<Request>& complete) override {
    complete.insert(complete.end(), sent_.begin(), sent_.end());
    sent_.clear();
    const std::lock_guard lock(network_->mutex);
    std::erase_if(receiving_, [&](const Receiving& r) {
      auto& waiting = network_->messages[r.route];
      if (waiting.empty()) return false;
      ensure(waiting.front().size() == r.bytes.size(), "a message has another size");
      std::copy(waiting.front().begin(), waiting.front().end(), r.bytes.begin());
      waiting.pop_front();
      complete.push_back(r.request);
      return true;
    });
  }

  void finish() override {}
  void abort(int) override {}

 private:
  struct Receiving {
    Request request;
    LocalNetwork::Route route;
    std::span<std::byte> bytes;
  };
  const std::shared_ptr<LocalNetwork> network_;
  const int rank_;
  std::vector<Request> sent_;
  std::vector<Receiving> receiving_;
  Request next_ = 0;
};

}  // namespace doppio
