#include "solver/team.hpp"

#include <exception>
#include <utility>

namespace doppio {

Team::Team(std::size_t members) : errors_(members) {
  for (std::size_t member = 1; member < members; ++member)
    threads_.emplace_back([this, member] { serve(member); });
}

Team::~Team() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begun_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(const std::function<void(std::size_t member)>& work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    working_ = threads_.size();
    ++runs_;
  }
  begun_.notify_all();
  try {
    work(0);
  } catch (...) {
    errors_[0] = std::current_exception();
  }
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return working_ == 0; });
  std::exception_ptr first;
  for (std::exception_ptr& error : errors_) {
    const std::exception_ptr one = std::exchange(error, nullptr);
    if (!first) first = one;
  }
  if (first) std::rethrow_exception(first);
}

void Team::serve(std::size_t member) {
  std::unique_lock lock(mutex_);
  for (std::size_t done = 0;; ++done) {
    begun_.wait(lock, [&] { return stop_ || runs_ > done; });
    if (stop_) return;
    lock.unlock();
    try {
      (*work_)(member);
    } catch (...) {
      errors_[member] = std::current_exception();
    }
    lock.lock();
    if (--working_ == 0) ended_.notify_all();
  }
}

}  // namespace doppio
