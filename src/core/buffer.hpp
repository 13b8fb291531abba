#pragma once
#include <memory>
#include <type_traits>

#include "core/storage.hpp"
#include "doppio/context.hpp"

namespace doppio {

/// An array of values that are not the floats of a Tensor, such as indices, pixels or sums in
/// double. Like Tensor, it updates its copies on the host and an accelerator on access, allocates
/// memory at the first access and reads as zeros if it was never written.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "values are copied as bytes");

 public:
  Buffer() : storage_(std::make_shared<Storage>()) {}
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  /// Contents survive if `count` does not exceed what was allocated.
  void resize(Index count) {
    count_ = count;
    storage_->grow(static_cast<std::size_t>(bytes()));
  }
  Index count() const { return count_; }
  Index bytes() const { return count_ * static_cast<Index>(sizeof(T)); }
  /// True once memory has been allocated.
  bool allocated() const { return storage_->allocated(); }

  /// Returns the current contents on ctx's device.
  const T* read(const Context& ctx) const { return access(ctx, true, false); }
  /// Returns memory to overwrite. Its contents are undefined, and other copies become stale.
  T* write(const Context& ctx) { return access(ctx, false, true); }
  /// The same on the host.
  T* write_host() { return static_cast<T*>(storage_->host(false, true)); }

  /// Uses page-locked host memory from now on if ctx has an accelerator. Contents are lost.
  void pin(const Context& ctx) {
    if (ctx.accelerator()) storage_->pin(ctx.accelerator());
  }
  /// Starts an asynchronous copy of the host's contents to ctx's accelerator. No-op on the CPU, or
  /// if there is nothing to copy.
  void prefetch_to_device(const Context& ctx) const {
    if (ctx.accelerator()) storage_->prefetch_to_device(ctx.accelerator());
  }

 private:
  T* access(const Context& ctx, bool keep_contents, bool exclusive) const {
    return static_cast<T*>(storage_->access(ctx.accelerator(), keep_contents, exclusive));
  }

  Index count_ = 0;
  std::shared_ptr<Storage> storage_;
};

}  // namespace doppio
