#pragma once
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace doppio {

/// Runs the same work concurrently for several members. The calling thread runs member 0.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t members);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Runs `work(member)` for all members, each always on the same thread, and returns when all are
  /// done. Throws: the first exception thrown by `work`. `failed` is called immediately after it,
  /// so that other members stop waiting.
  void run(
      const std::function<void(std::size_t member)>& work,
      const std::function<void()>& failed = [] {});

 private:
  void serve(std::size_t member);
  void work_for(std::size_t member);

  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  const std::function<void(std::size_t)>* work_ = nullptr;
  const std::function<void()>* failed_ = nullptr;
  std::size_t runs_ = 0;     // runs started so far
  std::size_t working_ = 0;  // threads that are still busy with the current run
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;  // declared last, because they use the other members
};

}  // namespace doppio
