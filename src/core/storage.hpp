#pragma once
// Implementation of Tensor storage. Internal to tensor.cpp and graph_capture.cpp.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "core/accelerator.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/layout_kernels.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

inline constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register
inline constexpr std::size_t kHugePage =
    2u << 20;  // fewer page faults and misses of the address cache

inline std::size_t byte_size(Index count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

inline std::uint64_t new_version() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

inline void* heap_memory(std::size_t bytes) {
  const bool huge = bytes >= 4 * kHugePage;
  void* memory = std::aligned_alloc(huge ? kHugePage : kAlignment, bytes);
  require(memory != nullptr, "out of memory: ", bytes,
          " bytes wanted on the host; try a smaller batch_size");
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

/// The memory behind one or more tensors, and which of its copies is current.
class Tensor::Storage : public std::enable_shared_from_this<Storage> {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() { release(); }

  /// Where the contents are.
  struct State {
    const float *plain, *device, *last, *bf16;
    bool plain_current, device_current, last_current, bf16_current, downloading;
    Blocks last_sizes, bf16_sizes;
    std::uint64_t version;

    /// True if the device's copies lie where they do in `other`.
    bool in_places_of(const State& other) const {
      return device == other.device && last == other.last && bf16 == other.bf16;
    }
    /// True if the same of them are current.
    bool as_current_as(const State& other) const {
      return device_current == other.device_current && last_current == other.last_current &&
             bf16_current == other.bf16_current &&
             (!last_current || last_sizes == other.last_sizes) &&
             (!bf16_current || bf16_sizes == other.bf16_sizes);
    }
  };
  State state() const {
    return {plain_.data,    device_.data,    last_.data,    bf16_.data,
            plain_.current, device_.current, last_.current, bf16_.current,
            downloading_,   last_.sizes,     bf16_.sizes,   version_};
  }
  /// Work that came from `before` to `after` has been done again.
  void replay(const State& before, const State& after) {
    place(after);
    if (before.version == after.version) return;
    blocked_.current = false;
    written_ = true;
    lost_ = false;
    version_ = new_version();
  }
  /// Work that began at `before` has been asked for and was not done. What has left the device
  /// meanwhile, for another one, is where it went.
  void undo(const State& before) {
    if (state().in_places_of(before)) place(before);
  }

  Index capacity() const { return capacity_; }
  bool allocated() const {
    return plain_.data || blocked_.data || device_.data || last_.data || bf16_.data;
  }
  bool holds(const Blocks& blocks) const { return blocked_.current && blocks == blocks_; }
  /// The layout of accelerators that is current for a tensor of these sizes, else plain.
  Layout layout_of(const Blocks& sizes) const {
    if (bf16_.holds(sizes)) return Layout::bf16;
    return last_.holds(sizes) ? Layout::channels_last : Layout::plain;
  }

  void grow(Index count) {
    if (count <= capacity_) return;
    release();
    capacity_ = count;
  }

  void use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
    release();
    arena_ = std::move(arena);
    name_ = name;
  }

  void pin(std::shared_ptr<Accelerator> accelerator) {
    release();
    pinned_by_ = std::move(accelerator);
  }

  void fetch(const std::shared_ptr<Accelerator>& accelerator) {
    if (!pinned_by_ || plain_.current || accelerator_ != accelerator) return;
    const float* from = device(accelerator, true, false);
    if (!plain_.data) plain_.data = allocate();
    accelerator->begin_download(plain_.data, from, byte_size(capacity_));
    plain_.current = downloading_ = true;
  }

  void prefetch(const std::shared_ptr<Accelerator>& accelerator) {
    if (!plain_.current || (device_.current && accelerator_ == accelerator)) return;
    place_on(accelerator, false);
    upload_ = accelerator->begin_upload(device_.data, plain_.data, byte_size(capacity_));
    device_.current = true;
  }

  void discard() {
    if (!arena_) return;
    lost_ = discarded() || written_;
    release();
  }
  void omit() {
    if (name_.empty()) return;
    if (arena_) release();
    lost_ = true;
  }
  bool discarded() const { return lost_; }
  void clear() {
    track(false);
    finish_upload();
    if (std::exchange(downloading_, false)) accelerator_->finish_downloads();
    for (Copy* copy : copies()) copy->current = false;
    lost_ = false;
    version_ = new_version();
  }
  bool cleared() {
    track(false);
    const auto all = copies();
    return !lost_ && std::none_of(all.begin(), all.end(), [](const Copy* c) { return c->current; });
  }
  std::uint64_t version() {
    track(true);  // who asks decides by it
    return version_;
  }

  float* plain(bool keep_contents, bool exclusive) {
    track(keep_contents);
    if (keep_contents) require_contents();
    if (exclusive || !keep_contents) finish_upload();
    if (std::exchange(downloading_, false)) accelerator_->finish_downloads();
    if (!plain_.data) plain_.data = allocate();
    if (keep_contents && !plain_.current) {
      if (blocked_.current)
        blocked_to_plain(blocks_, blocked_.data, plain_.data);
      else if (on_device())
        accelerator_->to_host(plain_.data, device(accelerator_, true, false), byte_size(capacity_));
      else
        std::memset(plain_.data, 0, byte_size(capacity_));
    }
    return own(plain_, exclusive || !keep_contents);
  }

  float* blocked(const Blocks& blocks, bool keep_contents, bool exclusive) {
    if (keep_contents) require_contents();
    if (keep_contents && !holds(blocks)) {
      const float* from = plain(true, false);
      if (!blocked_.data) blocked_.data = allocate();
      plain_to_blocked(blocks, from, blocked_.data);
    }
    if (!blocked_.data) blocked_.data = allocate();
    blocks_ = blocks;
    return own(blocked_, exclusive || !keep_contents);
  }

  float* device(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents,
                bool exclusive) {
    track(false);
    if (keep_contents) require_contents();
    place_on(accelerator, keep_contents);
    if (upload_) accelerator->await_upload(upload_);
    if (keep_contents && !device_.current) {
      if (last_.current)
        accelerator->layout_kernels().to_plain(accelerator->stream(), last_.sizes,
                                               Layout::channels_last, last_.data, device_.data);
      else if (bf16_.current)
        accelerator->layout_kernels().to_plain(accelerator->stream(), bf16_.sizes, Layout::bf16,
                                               bf16_.data, device_.data);
      else if (plain_.current || blocked_.current)
        accelerator->to_device(device_.data, plain(true, false), byte_size(capacity_));
      else
        accelerator->zero(device_.data, byte_size(capacity_));
    }
    return own(device_, exclusive || !keep_contents);
  }

  /// `layout` is one of those that accelerators alone have.
  float* channels_last(const std::shared_ptr<Accelerator>& accelerator, const Blocks& sizes,
                       Layout layout, bool keep_contents, bool exclusive) {
    track(false);
    if (keep_contents) require_contents();
    if (accelerator_ != accelerator) leave_device(keep_contents);
    accelerator_ = accelerator;
    const bool round = layout == Layout::bf16;
    LastCopy &copy = round ? bf16_ : last_, &other = round ? last_ : bf16_;
    const bool convert = keep_contents && !copy.holds(sizes);
    // Floats are exact, and channels that lie right need only a cast.
    const bool cast = convert && other.holds(sizes) && (round || !device_.current);
    const float* from = convert && !cast ? device(accelerator, true, false) : nullptr;
    const std::size_t bytes = static_cast<std::size_t>(sizes.count() * value_size(layout));
    if (bytes > copy.bytes) {
      if (float* old = std::exchange(copy, {}).data) accelerator->release(old);
      copy.data = static_cast<float*>(accelerator->allocate(bytes));
      copy.bytes = bytes;
    }
    if (cast && round)
      accelerator->layout_kernels().round(accelerator->stream(), sizes.count(), other.data,
                                          copy.data);
    else if (cast)
      accelerator->layout_kernels().widen(accelerator->stream(), sizes.count(), other.data,
                                          copy.data);
    else if (from)
      accelerator->layout_kernels().from_plain(accelerator->stream(), sizes, from, layout,
                                               copy.data);
    copy.sizes = sizes;
    return own(copy, exclusive || !keep_contents);
  }

 private:
  /// One place where the contents may be.
  struct Copy {
    float* data = nullptr;
    bool current = false;
  };

  /// One with channels last.
  struct LastCopy : Copy {
    std::size_t bytes = 0;  ///< of its memory
    Blocks sizes;

    bool holds(const Blocks& wanted) const { return current && wanted == sizes; }
  };

  bool on_device() const { return device_.current || last_.current || bf16_.current; }

  void place(const State& there) {
    plain_.current = there.plain_current;
    device_.current = there.device_current;
    last_.current = there.last_current;
    bf16_.current = there.bf16_current;
    last_.sizes = there.last_sizes;
    bf16_.sizes = there.bf16_sizes;
    downloading_ = there.downloading;
  }

  /// Tells the capture under way.
  void track(bool read_on_host);

  void require_contents() const {
    require(!lost_, name_, " was given up after its last use, because the net saves memory; name ",
            "the blob in `keep` of Net::save_memory() to read it after the passes");
  }

  void place_on(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents) {
    if (accelerator_ != accelerator) leave_device(keep_contents);
    if (device_.data) return;
    accelerator_ = accelerator;
    device_.data = static_cast<float*>(accelerator->allocate(byte_size(capacity_)));
  }

  /// The host's memory must not change under way.
  void finish_upload() {
    if (upload_) accelerator_->finish_upload(std::exchange(upload_, 0));
  }

  float* allocate() const {
    const std::size_t bytes = byte_size(capacity_);
    if (pinned_by_) return static_cast<float*>(pinned_by_->allocate_host(bytes));
    void* memory = arena_ ? arena_->take(bytes) : nullptr;
    return static_cast<float*>(memory ? memory : heap_memory(bytes));
  }

  void free(Copy& copy) {
    if (pinned_by_ && copy.data)
      pinned_by_->release_host(copy.data);
    else if (!arena_ || !arena_->give_back(copy.data))
      std::free(copy.data);
    copy = {};
  }

  std::array<Copy*, 5> copies() { return {&plain_, &blocked_, &device_, &last_, &bf16_}; }

  float* own(Copy& copy, bool alone) {
    if (alone) {
      for (Copy* other : copies()) other->current = false;
      written_ = true;
      lost_ = false;
      version_ = new_version();
    }
    copy.current = true;
    if (arena_ && alone)
      for (Copy* other : {&plain_, &blocked_})
        if (!other->current) free(*other);
    return copy.data;
  }

  void leave_device(bool keep_contents) {
    finish_upload();
    if (std::exchange(downloading_, false)) accelerator_->finish_downloads();
    if (keep_contents && on_device()) plain(true, false);
    for (const Copy* copy : {&device_, static_cast<Copy*>(&last_), static_cast<Copy*>(&bf16_)})
      if (copy->data) accelerator_->release(copy->data);
    device_ = {};
    last_ = bf16_ = {};
  }

  void release() {
    leave_device(false);
    free(plain_);
    free(blocked_);
    written_ = false;
    version_ = new_version();
  }

  Index capacity_ = 1;  // the default shape is a scalar's
  Copy plain_, blocked_, device_;
  Blocks blocks_;                             // what blocked_ holds
  LastCopy last_, bf16_;                      // on the accelerator, channels last
  std::shared_ptr<Accelerator> accelerator_;  // keeps the device memory's owner alive
  std::uint64_t upload_ = 0;                  // under way from plain_ to device_: its number
  bool downloading_ = false;                  // from device_ to plain_
  std::shared_ptr<Accelerator> pinned_by_;
  std::shared_ptr<Arena> arena_;
  std::string name_;      // for messages, with an arena
  bool written_ = false;  // since it has memory
  bool lost_ = false;     // what was written is discarded
  std::uint64_t version_ = new_version();
};

}  // namespace doppio
