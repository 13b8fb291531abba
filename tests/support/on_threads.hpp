#pragma once
#include <future>
#include <vector>

namespace doppio {

/// Runs work(0), ..., work(n - 1) concurrently, each on a thread of its own. Throws: the exception
/// of the first of them that threw one.
template <class Work>
void on_threads(int n, Work work) {
  std::vector<std::future<void>> running;
  for (int i = 0; i < n; ++i)
    running.push_back(std::async(std::launch::async, [&work, i] { work(i); }));
  for (const auto& one : running) one.wait();
  for (auto& one : running) one.get();
}

}  // namespace doppio
