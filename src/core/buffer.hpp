#pragma once
#include <memory>
#include <type_traits>

#include "core/storage.hpp"
#include "doppio/context.hpp"

namespace doppio {

/// An array of values that are not the floats of a Tensor, such as indices, pixels or sums in
/// double. It lives on the host, on an accelerator or on both, and brings itself up to date as a
/// Tensor does. Memory is allocated at the first access; what was never written reads as zeros.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "values are copied as bytes");

 public:
  Buffer() : storage_(std::make_shared<Storage>()) {}
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  /// Contents survive if they do not grow beyond what was allocated.
  void resize(Index count) {
    count_ = count;
    storage_->grow(static_cast<std::size_t>(bytes()));
  }
  Index count() const { return count_; }
  Index bytes() const { return count_ * static_cast<Index>(sizeof(T)); }
  /// True once memory has been allocated.
  bool allocated() const { return storage_->allocated(); }

  /// Current contents, on ctx's device.
  const T* read(const Context& ctx) const { return access(ctx, true, false); }
  /// Contents undefined: nothing is copied, and this place becomes the only owner.
  T* write(const Context& ctx) { return access(ctx, false, true); }
  /// The same on the host.
  T* write_host() { return static_cast<T*>(storage_->host(false, true)); }

  /// Takes page-locked host memory from now on if ctx has an accelerator. Contents are lost.
  void pin(const Context& ctx) {
    if (ctx.accelerator()) storage_->pin(ctx.accelerator());
  }
  /// Begins to copy the host's contents to ctx's accelerator, beside the work there. No-op on the
  /// CPU, and if there is nothing to copy.
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
