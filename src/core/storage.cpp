#include "core/storage.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/accelerator.hpp"
#include "core/arena.hpp"
#include "core/layout_kernels.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

namespace {

constexpr std::size_t kAlignment = 64;       // a cache line, and the widest vector register
constexpr std::size_t kHugePage = 2u << 20;  // fewer page faults and misses of the address cache

/// `bytes` with what fills the last cache line up.
std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void* heap_memory(std::size_t bytes) {
  const bool huge = bytes >= 4 * kHugePage;
  void* memory = std::aligned_alloc(huge ? kHugePage : kAlignment, bytes);
  require(memory != nullptr, "out of memory: ", bytes,
          " bytes wanted on the host; try a smaller batch_size");
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

Storage::~Storage() { release(); }

std::uint64_t Storage::new_version() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

bool Storage::State::in_places_of(const State& other) const {
  return device == other.device && last == other.last && bf16 == other.bf16;
}

bool Storage::State::as_current_as(const State& other) const {
  return device_current == other.device_current && last_current == other.last_current &&
         bf16_current == other.bf16_current && (!last_current || last_sizes == other.last_sizes) &&
         (!bf16_current || bf16_sizes == other.bf16_sizes);
}

Storage::State Storage::state() const {
  return {plain_.data,   device_.data,  last_.data,   bf16_.data,  plain_.current, device_.current,
          last_.current, bf16_.current, downloading_, last_.sizes, bf16_.sizes,    version_};
}

void Storage::replay(const State& before, const State& after) {
  place(after);
  if (before.version == after.version) return;
  blocked_.current = false;
  written_ = true;
  lost_ = false;
  version_ = new_version();
}

void Storage::undo(const State& before) {
  if (state().in_places_of(before)) place(before);
}

void Storage::place(const State& there) {
  plain_.current = there.plain_current;
  device_.current = there.device_current;
  last_.current = there.last_current;
  bf16_.current = there.bf16_current;
  last_.sizes = there.last_sizes;
  bf16_.sizes = there.bf16_sizes;
  downloading_ = there.downloading;
}

Layout Storage::layout_of(const Blocks& sizes) const {
  if (bf16_.holds(sizes)) return Layout::bf16;
  return last_.holds(sizes) ? Layout::channels_last : Layout::plain;
}

void Storage::grow(std::size_t bytes) {
  if (bytes <= capacity_) return;
  release();
  capacity_ = bytes;
}

void Storage::use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
  release();
  arena_ = std::move(arena);
  name_ = name;
}

void Storage::pin(std::shared_ptr<Accelerator> accelerator) {
  release();
  pinned_by_ = std::move(accelerator);
}

void Storage::fetch(const std::shared_ptr<Accelerator>& accelerator) {
  if (!pinned_by_ || plain_.current || accelerator_ != accelerator) return;
  const void* from = device(accelerator, true, false);
  if (!plain_.data) plain_.data = allocate();
  accelerator->begin_download(plain_.data, from, padded(capacity_));
  plain_.current = downloading_ = true;
}

void Storage::prefetch(const std::shared_ptr<Accelerator>& accelerator) {
  if (!plain_.current || (device_.current && accelerator_ == accelerator)) return;
  place_on(accelerator, false);
  upload_ = accelerator->begin_upload(device_.data, plain_.data, padded(capacity_));
  device_.current = true;
}

void Storage::discard() {
  if (!arena_) return;
  lost_ = discarded() || written_;
  release();
}

void Storage::omit() {
  if (name_.empty()) return;
  if (arena_) release();
  lost_ = true;
}

void Storage::clear() {
  track(false);
  finish_upload();
  finish_download();
  for (Copy* copy : copies()) copy->current = false;
  lost_ = false;
  version_ = new_version();
}

bool Storage::cleared() {
  track(false);
  const auto all = copies();
  return !lost_ && std::none_of(all.begin(), all.end(), [](const Copy* c) { return c->current; });
}

std::uint64_t Storage::version() {
  track(true);  // who asks decides by it
  return version_;
}

void* Storage::plain(bool keep_contents, bool exclusive) {
  track(keep_contents);
  if (keep_contents) require_contents();
  if (exclusive || !keep_contents) finish_upload();
  finish_download();
  if (!plain_.data) plain_.data = allocate();
  if (keep_contents && !plain_.current) {
    if (blocked_.current)
      blocked_to_plain(blocks_, blocked_.floats(), plain_.floats());
    else if (on_device())
      accelerator_->to_host(plain_.data, device(accelerator_, true, false), padded(capacity_));
    else
      std::memset(plain_.data, 0, padded(capacity_));
  }
  return own(plain_, exclusive || !keep_contents);
}

float* Storage::blocked(const Blocks& blocks, bool keep_contents, bool exclusive) {
  if (keep_contents) require_contents();
  if (keep_contents && !holds(blocks)) {
    const auto* from = static_cast<const float*>(plain(true, false));
    if (!blocked_.data) blocked_.data = allocate();
    plain_to_blocked(blocks, from, blocked_.floats());
  }
  if (!blocked_.data) blocked_.data = allocate();
  blocks_ = blocks;
  own(blocked_, exclusive || !keep_contents);
  return blocked_.floats();
}

void* Storage::device(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents,
                      bool exclusive) {
  track(false);
  if (keep_contents) require_contents();
  place_on(accelerator, keep_contents);
  if (upload_) accelerator->await_upload(upload_);
  if (keep_contents && !device_.current) {
    if (last_.current || bf16_.current) {
      const LastCopy& from = last_.current ? last_ : bf16_;  // floats are exact
      accelerator->layout_kernels().to_plain(accelerator->stream(), from.sizes,
                                             last_.current ? Layout::channels_last : Layout::bf16,
                                             from.data, device_.floats());
    } else if (plain_.current || blocked_.current) {
      accelerator->to_device(device_.data, plain(true, false), padded(capacity_));
    } else {
      accelerator->zero(device_.data, padded(capacity_));
    }
  }
  return own(device_, exclusive || !keep_contents);
}

void* Storage::channels_last(const std::shared_ptr<Accelerator>& accelerator, const Blocks& sizes,
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
  const void* from = convert && !cast ? device(accelerator, true, false) : nullptr;
  const auto bytes = static_cast<std::size_t>(sizes.count() * value_size(layout));
  if (bytes > copy.bytes) {
    if (void* old = std::exchange(copy, {}).data) accelerator->release(old);
    copy.data = accelerator->allocate(bytes);
    copy.bytes = bytes;
  }
  LayoutKernels& kernels = accelerator->layout_kernels();
  if (cast && round)
    kernels.round(accelerator->stream(), sizes.count(), other.floats(), copy.data);
  else if (cast)
    kernels.widen(accelerator->stream(), sizes.count(), other.data, copy.floats());
  else if (from)
    kernels.from_plain(accelerator->stream(), sizes, static_cast<const float*>(from), layout,
                       copy.data);
  copy.sizes = sizes;
  return own(copy, exclusive || !keep_contents);
}

void Storage::require_contents() const {
  require(!lost_, name_, " was given up after its last use, because the net saves memory; name ",
          "the blob in `keep` of Net::save_memory() to read it after the passes");
}

void Storage::place_on(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents) {
  if (accelerator_ != accelerator) leave_device(keep_contents);
  if (device_.data) return;
  accelerator_ = accelerator;
  device_.data = accelerator->allocate(padded(capacity_));
}

/// The host's memory must not change under way.
void Storage::finish_upload() {
  if (upload_) accelerator_->finish_upload(std::exchange(upload_, 0));
}

void Storage::finish_download() {
  if (std::exchange(downloading_, false)) accelerator_->finish_downloads();
}

void* Storage::allocate() const {
  const std::size_t bytes = padded(capacity_);
  if (pinned_by_) return pinned_by_->allocate_host(bytes);
  void* memory = arena_ ? arena_->take(bytes) : nullptr;
  return memory ? memory : heap_memory(bytes);
}

void Storage::free(Copy& copy) {
  if (pinned_by_ && copy.data)
    pinned_by_->release_host(copy.data);
  else if (!arena_ || !arena_->give_back(copy.data))
    std::free(copy.data);
  copy = {};
}

void* Storage::own(Copy& copy, bool exclusive) {
  if (exclusive) {
    for (Copy* other : copies()) other->current = false;
    written_ = true;
    lost_ = false;
    version_ = new_version();
  }
  copy.current = true;
  if (arena_ && exclusive)
    for (Copy* other : {&plain_, &blocked_})
      if (!other->current) free(*other);
  return copy.data;
}

void Storage::leave_device(bool keep_contents) {
  finish_upload();
  finish_download();
  if (keep_contents && on_device()) plain(true, false);
  for (const Copy* copy : {&device_, static_cast<Copy*>(&last_), static_cast<Copy*>(&bf16_)})
    if (copy->data) accelerator_->release(copy->data);
  device_ = {};
  last_ = bf16_ = {};
}

void Storage::release() {
  leave_device(false);
  free(plain_);
  free(blocked_);
  written_ = false;
  version_ = new_version();
}

}  // namespace doppio
