#include "doppio/tensor.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/arena.hpp"
#include "core/layout.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr std::size_t kAlignment = 64;       // a cache line, and the widest vector register
constexpr std::size_t kHugePage = 2u << 20;  // fewer page faults and misses of the address cache

std::size_t byte_size(Index count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t new_version() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

void* heap_memory(std::size_t bytes) {
  const bool huge = bytes >= 4 * kHugePage;
  void* memory = std::aligned_alloc(huge ? kHugePage : kAlignment, bytes);
  require(memory != nullptr, "out of memory: ", bytes,
          " bytes wanted on the host; try a smaller batch_size");
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

/// The memory behind one or more tensors, and which of its copies is current.
class Tensor::Storage {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage() { release(); }

  Index capacity() const { return capacity_; }
  bool allocated() const { return plain_.data || blocked_.data || device_.data; }
  bool holds(const Blocks& blocks) const { return blocked_.current && blocks == blocks_; }

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

  void prefetch(const std::shared_ptr<Accelerator>& accelerator) {
    if (!plain_.current || (device_.current && accelerator_ == accelerator)) return;
    place_on(accelerator, false);
    accelerator->begin_upload(device_.data, plain_.data, byte_size(capacity_));
    uploading_ = device_.current = true;
  }

  void discard() {
    if (!arena_) return;
    lost_ = discarded() || written_;
    release();
  }
  void omit() {
    if (!arena_) return;
    lost_ = true;
    release();
  }
  bool discarded() const { return lost_; }
  std::uint64_t version() const { return version_; }

  float* plain(bool keep_contents, bool exclusive) {
    if (keep_contents) require_contents();
    if (exclusive || !keep_contents) finish_upload();
    if (!plain_.data) plain_.data = allocate();
    if (keep_contents && !plain_.current) {
      if (blocked_.current)
        blocked_to_plain(blocks_, blocked_.data, plain_.data);
      else if (device_.current)
        accelerator_->to_host(plain_.data, device_.data, byte_size(capacity_));
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
    if (keep_contents) require_contents();
    place_on(accelerator, keep_contents);
    if (uploading_) accelerator->await_uploads();
    if (keep_contents && !device_.current) {
      if (plain_.current || blocked_.current)
        accelerator->to_device(device_.data, plain(true, false), byte_size(capacity_));
      else
        accelerator->zero(device_.data, byte_size(capacity_));
    }
    return own(device_, exclusive || !keep_contents);
  }

 private:
  /// One place where the contents may be.
  struct Copy {
    float* data = nullptr;
    bool current = false;
  };

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
    if (std::exchange(uploading_, false)) accelerator_->finish_uploads();
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

  float* own(Copy& copy, bool alone) {
    if (alone) {
      plain_.current = blocked_.current = device_.current = false;
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
    if (keep_contents && device_.current) plain(true, false);
    if (device_.data) accelerator_->release(device_.data);
    device_ = {};
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
  std::shared_ptr<Accelerator> accelerator_;  // keeps the device memory's owner alive
  bool uploading_ = false;                    // from plain_ to device_
  std::shared_ptr<Accelerator> pinned_by_;
  std::shared_ptr<Arena> arena_;
  std::string name_;      // for messages, with an arena
  bool written_ = false;  // since it has memory
  bool lost_ = false;     // what was written is discarded
  std::uint64_t version_ = new_version();
};

Tensor::Tensor() : storage_(std::make_shared<Storage>()) {}

void Tensor::reshape(const Shape& shape) {
  shape_ = shape;
  storage_->grow(shape.count());
}

float* Tensor::access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const {
  if (layout == Layout::blocked) {
    ensure(!ctx.accelerator() && can_block(), "this tensor cannot be blocked");
    return storage_->blocked(blocks_of(shape_), keep_contents, exclusive);
  }
  return ctx.accelerator() ? storage_->device(ctx.accelerator(), keep_contents, exclusive)
                           : storage_->plain(keep_contents, exclusive);
}

const float* Tensor::read(const Context& ctx, Layout layout) const {
  return access(ctx, layout, true, false);
}
float* Tensor::write(const Context& ctx, Layout layout) { return access(ctx, layout, false, true); }
float* Tensor::update(const Context& ctx, Layout layout) { return access(ctx, layout, true, true); }

const float* Tensor::read_host() const { return storage_->plain(true, false); }
float* Tensor::write_host() { return storage_->plain(false, true); }
float* Tensor::update_host() { return storage_->plain(true, true); }

bool Tensor::can_block() const { return shape_.axes() == 4 && shape_[1] % channel_block() == 0; }

Layout Tensor::layout() const {
  return can_block() && storage_->holds(blocks_of(shape_)) ? Layout::blocked : Layout::plain;
}

void Tensor::share(const Tensor& other) {
  ensure(count() <= other.storage_->capacity(), "a view cannot be larger than what it views");
  storage_ = other.storage_;
}

void Tensor::pin(const Context& ctx) {
  if (ctx.accelerator()) storage_->pin(ctx.accelerator());
}
void Tensor::prefetch(const Context& ctx) const {
  if (ctx.accelerator()) storage_->prefetch(ctx.accelerator());
}

void Tensor::use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
  storage_->use_arena(std::move(arena), name);
}
void Tensor::discard() { storage_->discard(); }
void Tensor::omit() { storage_->omit(); }
bool Tensor::discarded() const { return storage_->discarded(); }

std::uint64_t Tensor::version() const { return storage_->version(); }

bool Tensor::allocated() const { return storage_->allocated(); }

}  // namespace doppio
