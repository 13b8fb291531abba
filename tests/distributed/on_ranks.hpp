#pragma once
#include <memory>
#include <thread>
#include <vector>

#include "distributed/local_transport.hpp"
#include "distributed/process_group.hpp"

namespace doppio {

/// Runs `work(group)` on `ranks` ranks of a group, each a thread. `group` is a shared pointer.
template <class Work>
void on_ranks(int ranks, const Work& work) {
  const auto network = std::make_shared<LocalNetwork>(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      work(std::make_shared<ProcessGroup>(
          [&] { return std::make_unique<LocalTransport>(network, rank); },
          ProcessGroup::Options{}));
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace doppio
