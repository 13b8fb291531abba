#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "doppio/context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Arena;    // host memory that tensors reuse (core/arena.hpp)
class Storage;  // the memory of tensors (core/storage.hpp)
struct Bf16;    // a value of bfloat16 (core/bf16.hpp)

/// The order of the values of an N x C x H x W tensor in memory.
enum class Layout {
  nchw,          ///< row-major, for any number of axes
  nchw_blocked,  ///< N x C/B x H x W x B with B = channel_block(); CPU only
  nhwc           ///< channels last; accelerators only
};

/// The type of a tensor's values in memory.
enum class Element {
  f32,  ///< float
  bf16  ///< Bf16; Layout::nhwc only. Reading as bf16 rounds floats.
};

/// Channels per block in Layout::nchw_blocked: 16 on CPUs with AVX-512, else 8.
Index channel_block();

/// A dense float32 array with copies on the host, on an accelerator or on both, in one or more
/// layouts. Accesses update stale copies. Accelerators may hold it rounded to bfloat16.
///
/// Memory is allocated at the first access, so shape inference needs none. A tensor that was never
/// written reads as zeros. Pointers stay valid until the tensor is reshaped to more elements than
/// ever before.
class Tensor {
 public:
  Tensor();
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  /// Sets the shape. Contents survive if the element count does not grow beyond what was allocated.
  void reshape(const Shape& shape);
  const Shape& shape() const { return shape_; }
  Index count() const { return shape_.count(); }

  /// Returns the current contents on ctx's device, as values of T: float or Bf16.
  /// Layout::nchw_blocked requires can_block(), Layout::nhwc requires four axes. Throws:
  /// InternalError if the device or the shape does not allow the layout, or if the layout is not
  /// for T.
  template <class T = float>
  const T* read(const Context& ctx, Layout layout = Layout::nchw) const;
  /// Returns memory to overwrite. Its contents are undefined, and all other copies become stale.
  template <class T = float>
  T* write(const Context& ctx, Layout layout = Layout::nchw);
  /// Returns the current contents to modify. All other copies become stale.
  template <class T = float>
  T* update(const Context& ctx, Layout layout = Layout::nchw);

  /// Sets all values to zero lazily: memory is written on the next read or update.
  void zero_lazily();
  /// True if all values are zero because the tensor was not written since zero_lazily(), or ever.
  /// To add to it, write() is then enough.
  bool is_lazily_zero() const;

  /// True for 4 axes and a number of channels divisible by channel_block(): then both NCHW layouts
  /// take count() floats.
  bool can_block() const;
  /// Returns the layout that can be read without conversion. If NCHW and another can, the other
  /// one.
  Layout layout() const;
  /// Returns the type that can be read in layout() without conversion; bf16 if both can.
  Element element() const;

  /// The same three functions on the host, in Layout::nchw.
  const float* read_host() const;
  float* write_host();
  float* update_host();

  /// Uses page-locked host memory from now on if ctx has an accelerator. Contents are lost.
  void pin(const Context& ctx);
  /// Starts an asynchronous copy of the host's contents to ctx's accelerator. No-op on the CPU, or
  /// if there is nothing to copy.
  void prefetch_to_device(const Context& ctx) const;
  /// Starts an asynchronous copy from ctx's accelerator to the host; read_host() waits for it.
  /// No-op unless the host memory is page-locked (pin()).
  void prefetch_to_host(const Context& ctx) const;

  /// Makes this tensor a view of `other`'s memory, with its own shape. Throws: InternalError if it
  /// would be larger.
  void share(const Tensor& other);
  bool shares_memory_with(const Tensor& other) const { return storage_ == other.storage_; }

  /// Uses host memory from `arena` (from the heap if null), so that other tensors can reuse it
  /// after release(). Contents are lost. The Error for a late read calls the tensor `name`, for
  /// example "blob 'conv1'".
  void use_arena(std::shared_ptr<Arena> arena, const std::string& name);
  /// Releases the contents and their memory. No-op unless the tensor uses an arena. If it had been
  /// written, reading it throws Error until it is written again.
  void release();
  /// As release(), for a tensor that no pass will write: reading it throws Error. Needs
  /// use_arena().
  void mark_unavailable();
  /// True if read() would throw because of release() or mark_unavailable().
  bool is_released() const;

  /// Version of the contents, unique among all tensors: values computed from this tensor are valid
  /// as long as its version is the same. write() and update() assign a new one, so call them again
  /// before writing through an old pointer. Views share the version of their memory.
  std::uint64_t version() const;

  /// Bytes of the contents on one device once memory is allocated.
  Index bytes() const { return count() * static_cast<Index>(sizeof(float)); }
  /// True once memory has been allocated.
  bool allocated() const;

 private:
  template <class T>
  T* access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const;

  Shape shape_;
  std::shared_ptr<Storage> storage_;
};

/// Data and gradient of an activation or a parameter. Backward passes overwrite gradients of
/// activations and add to gradients of parameters.
struct Blob {
  Tensor data, grad;
  /// False for a parameter that needs no gradient (lr_mult 0): backward may skip it.
  bool needs_grad = true;

  const Shape& shape() const { return data.shape(); }
  Index count() const { return data.count(); }
  void reshape(const Shape& shape) {
    data.reshape(shape);
    grad.reshape(shape);
  }
  /// Makes data and grad views of `other`'s.
  void share(const Blob& other) {
    data.share(other.data);
    grad.share(other.grad);
  }
};

}  // namespace doppio
