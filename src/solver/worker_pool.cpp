#include "solver/worker_pool.hpp"

#include <utility>

namespace doppio {

WorkerPool::WorkerPool(std::size_t members) {
  for (std::size_t member = 1; member < members; ++member)
    threads_.emplace_back([this, member] { serve(member); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begun_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::run(const std::function<void(std::size_t member)>& work,
                     const std::function<void()>& failed) {
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    failed_ = &failed;
    working_ = threads_.size();
    ++runs_;
  }
  begun_.notify_all();
  work_for(0);
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return working_ == 0; });
  if (const std::exception_ptr error = std::exchange(error_, nullptr))
    std::rethrow_exception(error);
}

void WorkerPool::work_for(std::size_t member) {
  try {
    (*work_)(member);
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      if (error_) return;
      error_ = std::current_exception();
    }
    (*failed_)();
  }
}

void WorkerPool::serve(std::size_t member) {
  std::unique_lock lock(mutex_);
  for (std::size_t done = 0;; ++done) {
    begun_.wait(lock, [&] { return stop_ || runs_ > done; });
    if (stop_) return;
    lock.unlock();
    work_for(member);
    lock.lock();
    if (--working_ == 0) ended_.notify_all();
  }
}

}  // namespace doppio
