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

/// Makes batches on background threads in advance and returns them in order.
///
/// A batch has a fixed number of items. Workers claim chunks of items in order, one worker at a
/// time, and make them concurrently, so all workers help with the batch that is needed first.
/// Batches do not depend on the number of workers. At most as many batches as there are slots exist
/// at a time.
template <class Item, class Batch>
class Prefetcher {
 public:
  struct Steps {
    /// Fetches the input of the next item. Calls never overlap.
    std::function<Item()> claim;
    /// Makes item `i` of `batch`; `worker` counts from 0.
    std::function<void(int worker, const Item&, Batch& batch, Index i)> make;
  };

  /// The caller holds one of the `slots` while the others are filled.
  Prefetcher(std::vector<Batch> slots, Index items, int workers, Steps steps)
      : items_(items),
        // Small enough for an even distribution, large enough to make locking negligible.
        chunk_(std::max<Index>(1, items / (4 * workers))),
        steps_(std::move(steps)) {
    for (Batch& batch : slots) slots_.push_back({std::move(batch)});
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this, i] { work(i); });
    } catch (...) {  // the system cannot create more threads
      stop();
      throw;
    }
  }

  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Returns the next batch, which the caller may use until release(). Waits if necessary and adds
  /// the time to waited_seconds(). Throws: the exception of claim or make for the batch's first bad
  /// item, in this and all later calls.
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

  /// Returns the batch of the next take() if it is ready, else null.
  const Batch* peek() {
    const std::lock_guard lock(mutex_);
    const Slot& slot = slots_[taken_ % slots_.size()];
    const bool ready = taken_ < released_ + slots_.size() && slot.done == items_ && !slot.error;
    return ready ? &slot.batch : nullptr;
  }

  /// Releases all batches taken so far, to be filled again.
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

  /// Requires mutex_ to be held.
  void claim_some(Slot& slot, std::vector<Item>& items) {
    items.clear();
    try {
      for (Index k = std::min(chunk_, items_ - slot.claimed); k > 0; --k)
        items.push_back(steps_.claim());
      slot.claimed += static_cast<Index>(items.size());
    } catch (...) {
      const Index good = slot.claimed + static_cast<Index>(items.size());
      slot.fail(good);
      slot.done += items_ - good;  // the remaining items are never made
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
  // Numbers of batches since the start. Batch b uses slot b modulo the number of slots.
  std::uint64_t filling_ = 0, taken_ = 0, released_ = 0;
  bool stop_ = false, exhausted_ = false;
  double waited_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace doppio
