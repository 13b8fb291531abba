#pragma once
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace doppio {

/// Threads that do the same for each of several members at once; the caller's own is member 0's.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t members);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Runs `work(member)` for all members, a thread each that stays the same, and returns when all
  /// have ended. Throws: what was thrown first; at once, `failed` is called to end the others'
  /// wait.
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
  std::size_t runs_ = 0;     // begun so far
  std::size_t working_ = 0;  // threads that have not ended the last one
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;  // last: they use the others
};

}  // namespace doppio
