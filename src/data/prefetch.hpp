#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Makes batches on background threads ahead of their use and hands them out in order.
///
/// A batch has a fixed number of items. One worker at a time claims the next few items, in order,
/// and then makes them while others claim and make theirs: so all workers help with the batch that
/// is wanted first, and batches do not depend on the number of workers. At most as many batches as
/// there are slots exist at a time.
template <class Item, class Batch>
class Prefetcher {
 public:
  struct Steps {
    /// Fetches what the next item is made from. Never runs twice at a time.
    std::function<Item()> claim;
    /// Makes item `i` of `batch`; `worker` counts from 0.
    std::function<void(int worker, const Item&, Batch& batch, Index i)> make;
  };

  /// One of the `slots` is in the hands of the caller, the others are made ahead.
  Prefetcher(std::vector<Batch> slots, Index items, int workers, Steps steps)
      : items_(items),
        // Small enough to share a batch out evenly, large enough to make locking negligible.
        chunk_(std::max<Index>(1, items / (4 * workers))),
        steps_(std::move(steps)) {
    for (Batch& batch : slots) slots_.push_back({std::move(batch)});
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this, i] { work(i); });
    } catch (...) {  // the system has no more threads
      stop();
      throw;
    }
  }

  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next batch; it belongs to the caller until release(). Waits for it if need be, and adds
  /// the time to waited_seconds(). Throws: what claim or make threw for its first bad item, now and
  /// at each further call.
  Batch& take() {
    std::unique_lock lock(mutex_);
    Slot& slot = slots_[taken_ % slots_.size()];
    if (slot.done < items_) {
      const auto start = std::chrono::steady_clock::now();
      finished_.wait(lock, [&] { return slot.done == items_; });
      waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    if (slot.error) std::rethrow_exception(slot.error);
    ++taken_;
    return slot.batch;
  }

  /// The batch that take() would return next, if it is ready, else null.
  const Batch* peek() {
    const std::lock_guard lock(mutex_);
    const Slot& slot = slots_[taken_ % slots_.size()];
    const bool ready = taken_ < released_ + slots_.size() && slot.done == items_ && !slot.error;
    return ready ? &slot.batch : nullptr;
  }

  /// Gives all batches taken so far back to be filled again.
  void release() {
    {
      const std::lock_guard lock(mutex_);
      for (; released_ < taken_; ++released_) {
        Slot& slot = slots_[released_ % slots_.size()];
        slot.claimed = slot.done = 0;
      }
    }
    may_claim_.notify_all();
  }

  double waited_seconds() const { return waited_; }

 private:
  struct Slot {
    Batch batch;
    Index claimed = 0, done = 0;
    std::exception_ptr error = nullptr;
    Index error_item = 0;

    void fail(Index item) {
      if (!error || item < error_item) {
        error = std::current_exception();
        error_item = item;
      }
    }
  };

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    may_claim_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void work(int worker) {
    std::vector<Item> items;
    std::unique_lock lock(mutex_);
    for (;;) {
      may_claim_.wait(
          lock, [&] { return stop_ || (!exhausted_ && filling_ < released_ + slots_.size()); });
      if (stop_) return;
      Slot& slot = slots_[filling_ % slots_.size()];
      const Index first = slot.claimed;
      claim_some(slot, items);
      lock.unlock();
      for (std::size_t k = 0; k < items.size(); ++k)
        make_one(worker, items[k], slot, first + static_cast<Index>(k));
      lock.lock();
      slot.done += static_cast<Index>(items.size());
      if (slot.done == items_) finished_.notify_all();
    }
  }

  /// Runs under the lock.
  void claim_some(Slot& slot, std::vector<Item>& items) {
    items.clear();
    try {
      for (Index k = std::min(chunk_, items_ - slot.claimed); k > 0; --k)
        items.push_back(steps_.claim());
      slot.claimed += static_cast<Index>(items.size());
    } catch (...) {
      const Index good = slot.claimed + static_cast<Index>(items.size());
      slot.fail(good);
      slot.done += items_ - good;  // nobody will make the rest
      slot.claimed = items_;
      exhausted_ = true;
    }
    if (slot.claimed == items_) ++filling_;
  }

  void make_one(int worker, const Item& item, Slot& slot, Index i) {
    try {
      steps_.make(worker, item, slot.batch, i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      slot.fail(i);
    }
  }

  const Index items_, chunk_;
  const Steps steps_;
  std::mutex mutex_;
  std::condition_variable may_claim_, finished_;
  std::vector<Slot> slots_;
  // Batches since the start; batch b lives in slot b modulo their number.
  std::uint64_t filling_ = 0, taken_ = 0, released_ = 0;
  bool stop_ = false, exhausted_ = false;
  double waited_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace doppio
