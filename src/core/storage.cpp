#include "core/storage.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/accelerator.hpp"
#include "core/arena.hpp"
#include "core/bf16.hpp"
#include "core/layout_kernels.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr std::size_t kAlignment = 64;       // a cache line, and the widest vector register
constexpr std::size_t kHugePage = 2u << 20;  // fewer page faults and TLB misses

/// Rounds `bytes` up to whole cache lines.
std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void* heap_memory(std::size_t bytes) {
  const bool huge = bytes >= 4 * kHugePage;
  void* memory = std::aligned_alloc(huge ? kHugePage : kAlignment, bytes);
  require(memory != nullptr, "out of memory: ", bytes,
          " bytes needed on the host; try a smaller batch_size");
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

Storage::~Storage() { free_all(); }

std::uint64_t Storage::new_version() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

bool Storage::State::in_places_of(const State& other) const {
  return device == other.device && nhwc == other.nhwc && bf16 == other.bf16;
}

bool Storage::State::as_current_as(const State& other) const {
  return device_current == other.device_current && nhwc_current == other.nhwc_current &&
         bf16_current == other.bf16_current && (!nhwc_current || nhwc_dims == other.nhwc_dims) &&
         (!bf16_current || bf16_dims == other.bf16_dims);
}

Storage::State Storage::state() const {
  return {host_.data,    device_.data,  nhwc_.data,   bf16_.data, host_.current, device_.current,
          nhwc_.current, bf16_.current, downloading_, nhwc_.dims, bf16_.dims,    version_};
}

void Storage::replay(const State& before, const State& after) {
  place(after);
  if (before.version == after.version) return;
  blocked_.current = false;
  written_ = true;
  released_ = false;
  version_ = new_version();
}

void Storage::undo(const State& before) {
  if (state().in_places_of(before)) place(before);
}

void Storage::place(const State& there) {
  host_.current = there.host_current;
  device_.current = there.device_current;
  nhwc_.current = there.nhwc_current;
  bf16_.current = there.bf16_current;
  nhwc_.dims = there.nhwc_dims;
  bf16_.dims = there.bf16_dims;
  downloading_ = there.downloading;
}

void Storage::grow(std::size_t bytes) {
  if (bytes <= capacity_) return;
  free_all();
  capacity_ = bytes;
}

void Storage::use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
  free_all();
  arena_ = std::move(arena);
  name_ = name;
}

void Storage::pin(std::shared_ptr<Accelerator> accelerator) {
  free_all();
  pinned_by_ = std::move(accelerator);
}

void Storage::prefetch_to_host(const std::shared_ptr<Accelerator>& accelerator) {
  if (!pinned_by_ || host_.current || accelerator_ != accelerator) return;
  const void* from = device(accelerator, true, false);
  if (!host_.data) host_.data = allocate();
  accelerator->begin_download(host_.data, from, padded(capacity_));
  host_.current = downloading_ = true;
}

void Storage::prefetch_to_device(const std::shared_ptr<Accelerator>& accelerator) {
  if (!host_.current || (device_.current && accelerator_ == accelerator)) return;
  place_on(accelerator, false);
  upload_ = accelerator->begin_upload(device_.data, host_.data, padded(capacity_));
  device_.current = true;
}

void Storage::release() {
  if (!arena_) return;
  released_ = is_released() || written_;
  free_all();
}

void Storage::mark_unavailable() {
  if (name_.empty()) return;
  if (arena_) free_all();
  released_ = true;
}

void Storage::zero_lazily() {
  track(false);
  finish_upload();
  finish_download();
  for (Copy* copy : copies()) copy->current = false;
  released_ = false;
  version_ = new_version();
}

bool Storage::is_lazily_zero() {
  track(false);
  const auto all = copies();
  return !released_ &&
         std::none_of(all.begin(), all.end(), [](const Copy* c) { return c->current; });
}

std::uint64_t Storage::version() {
  track(true);  // the caller may act on it
  return version_;
}

void* Storage::host(bool keep_contents, bool exclusive) {
  track(keep_contents);
  if (keep_contents) require_contents();
  if (exclusive || !keep_contents) finish_upload();
  finish_download();
  if (!host_.data) host_.data = allocate();
  if (keep_contents && !host_.current) {
    if (blocked_.current)
      blocked_to_nchw(blocked_dims_, blocked_.floats(), host_.floats());
    else if (on_device())
      accelerator_->to_host(host_.data, device(accelerator_, true, false), padded(capacity_));
    else
      std::memset(host_.data, 0, padded(capacity_));
  }
  return own(host_, exclusive || !keep_contents);
}

float* Storage::blocked(const TensorDims& dims, bool keep_contents, bool exclusive) {
  if (keep_contents) require_contents();
  if (keep_contents && !holds_blocked(dims)) {
    const auto* from = static_cast<const float*>(host(true, false));
    if (!blocked_.data) blocked_.data = allocate();
    nchw_to_blocked(dims, from, blocked_.floats());
  }
  if (!blocked_.data) blocked_.data = allocate();
  blocked_dims_ = dims;
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
    LayoutKernels& kernels = accelerator->layout_kernels();
    if (nhwc_.current) {  // floats are exact
      kernels.nhwc_to_nchw(accelerator->stream(), nhwc_.dims, nhwc_.values(), device_.floats());
    } else if (bf16_.current) {
      kernels.nhwc_to_nchw(accelerator->stream(), bf16_.dims, bf16_.values(), device_.floats());
    } else if (host_.current || blocked_.current) {
      accelerator->to_device(device_.data, host(true, false), padded(capacity_));
    } else {
      accelerator->zero(device_.data, padded(capacity_));
    }
  }
  return own(device_, exclusive || !keep_contents);
}

template <class T, class Other>
T* Storage::access_nhwc(NhwcCopy<T>& copy, const NhwcCopy<Other>& other,
                        const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                        bool keep_contents, bool exclusive) {
  constexpr bool kRound = std::is_same_v<T, Bf16>;
  track(false);
  if (keep_contents) require_contents();
  if (accelerator_ != accelerator) leave_device(keep_contents);
  accelerator_ = accelerator;
  const bool convert = keep_contents && !copy.holds(dims);
  // Exact floats come first; a cast is cheaper than a change of layout.
  const bool cast = convert && other.holds(dims) && (kRound || !device_.current);
  const void* from = convert && !cast ? device(accelerator, true, false) : nullptr;
  const std::size_t bytes = static_cast<std::size_t>(dims.count()) * sizeof(T);
  if (bytes > copy.bytes) {
    if (void* old = std::exchange(copy, {}).data) accelerator->release(old);
    copy.data = accelerator->allocate(bytes);
    copy.bytes = bytes;
  }
  LayoutKernels& kernels = accelerator->layout_kernels();
  if (cast)
    kernels.convert(accelerator->stream(), dims.count(), other.values(), copy.values());
  else if (from)
    kernels.nchw_to_nhwc(accelerator->stream(), dims, static_cast<const float*>(from),
                         copy.values());
  copy.dims = dims;
  own(copy, exclusive || !keep_contents);
  return copy.values();
}

float* Storage::nhwc(const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                     bool keep_contents, bool exclusive) {
  return access_nhwc(nhwc_, bf16_, accelerator, dims, keep_contents, exclusive);
}

Bf16* Storage::nhwc_bf16(const std::shared_ptr<Accelerator>& accelerator, const TensorDims& dims,
                         bool keep_contents, bool exclusive) {
  return access_nhwc(bf16_, nhwc_, accelerator, dims, keep_contents, exclusive);
}

void Storage::require_contents() const {
  require(!released_, name_,
          " was released after its last use, because the net saves memory; name ",
          "the blob in `keep` of Net::save_memory() to read it after the passes");
}

void Storage::place_on(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents) {
  if (accelerator_ != accelerator) leave_device(keep_contents);
  if (device_.data) return;
  accelerator_ = accelerator;
  device_.data = accelerator->allocate(padded(capacity_));
}

/// Host memory must not change during an upload.
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
    released_ = false;
    version_ = new_version();
  }
  copy.current = true;
  if (arena_ && exclusive)
    for (Copy* other : {&host_, &blocked_})
      if (!other->current) free(*other);
  return copy.data;
}

void Storage::leave_device(bool keep_contents) {
  finish_upload();
  finish_download();
  if (keep_contents && on_device()) host(true, false);
  for (void* data : {device_.data, nhwc_.data, bf16_.data})
    if (data) accelerator_->release(data);
  device_ = {};
  nhwc_ = {};
  bf16_ = {};
}

void Storage::free_all() {
  leave_device(false);
  free(host_);
  free(blocked_);
  written_ = false;
  version_ = new_version();
}

}  // namespace doppio
