#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "doppio/context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Arena;    // host memory that tensors take turns to use (core/arena.hpp)
class Storage;  // the memory of tensors (core/storage.hpp)
struct Bf16;    // a value of bfloat16 (core/bf16.hpp)

/// The order of the values of an N x C x H x W tensor in memory.
enum class Layout {
  nchw,          ///< row-major, which tensors of any number of axes can take
  nchw_blocked,  ///< N x C/B x H x W x B with B = channel_block(); CPU only
  nhwc           ///< channels last; accelerators only
};

/// The type of a tensor's values in memory.
enum class Element {
  f32,  ///< float
  bf16  ///< Bf16; Layout::nhwc only. Reading rounds floats to it.
};

/// Channels that lie side by side in Layout::nchw_blocked: the floats of one vector register of
/// this CPU, 16 with AVX-512, else 8.
Index channel_block();

/// A dense float32 array that lives on the host, on an accelerator or on both, in one or more of
/// their layouts, and brings itself up to date. Accelerators may hold it rounded to bfloat16.
///
/// Memory is allocated at the first access, so shapes can be inferred and planned for nothing. A
/// tensor that was never written reads as zeros. Pointers stay valid until the tensor is reshaped
/// to more elements than ever before.
class Tensor {
 public:
  Tensor();
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  /// Sets the shape. Contents survive if the element count does not grow beyond what was allocated.
  void reshape(const Shape& shape);
  const Shape& shape() const { return shape_; }
  Index count() const { return shape_.count(); }

  /// Current contents, on ctx's device, as values of T: float or Bf16. Layout::nchw_blocked is for
  /// tensors that can_block(), Layout::nhwc for tensors of four axes. Throws: InternalError if the
  /// device or the shape does not allow the layout, or if the layout is not for T.
  template <class T = float>
  const T* read(const Context& ctx, Layout layout = Layout::nchw) const;
  /// Contents undefined: nothing is copied, and this place becomes the only owner.
  template <class T = float>
  T* write(const Context& ctx, Layout layout = Layout::nchw);
  /// Current contents, about to be modified: this place becomes the only owner.
  template <class T = float>
  T* update(const Context& ctx, Layout layout = Layout::nchw);

  /// Makes all values 0, at the cost of writing them once somebody reads or updates them.
  void zero_lazily();
  /// True if all values are 0 because nobody has written to the tensor since clear(), or ever: who
  /// would add to it may write() instead.
  bool is_lazily_zero() const;

  /// True for 4 axes and channels that are a multiple of channel_block(): such a tensor takes
  /// count() floats in either layout.
  bool can_block() const;
  /// The layout in which reading costs no conversion; if NCHW is current too, the other one.
  Layout layout() const;
  /// The type as which reading in layout() costs no conversion; if both are current, bf16.
  Element element() const;

  /// The same three on the host.
  const float* read_host() const;
  float* write_host();
  float* update_host();

  /// Takes page-locked host memory from now on if ctx has an accelerator; contents are lost.
  void pin(const Context& ctx);
  /// Begins to copy the host's contents to ctx's accelerator, beside the work there. Without effect
  /// on the CPU, and where there is nothing to copy.
  void prefetch_to_device(const Context& ctx) const;
  /// Begins to copy the contents from ctx's accelerator to the host, where read_host() waits for
  /// them. Without effect unless the host's memory is page-locked (pin()).
  void prefetch_to_host(const Context& ctx) const;

  /// Makes this tensor a view of `other`'s memory, with its own shape. Throws: InternalError if it
  /// would be larger.
  void share(const Tensor& other);
  bool shares_memory_with(const Tensor& other) const { return storage_ == other.storage_; }

  /// Takes host memory from `arena` (null: as before), so that release() makes room for others;
  /// contents are lost. `name` ("blob 'conv1'") is what the Error for reading too late calls it.
  void use_arena(std::shared_ptr<Arena> arena, const std::string& name);
  /// Gives contents and memory up; without effect unless it uses an arena. To read what was written
  /// before is an Error from now on until it is written again.
  void release();
  /// release() of what nobody is going to write: to read it is an Error as well.
  void mark_unavailable();
  /// True if read() would throw because of release().
  bool is_released() const;

  /// A number that no other contents have, those of other tensors included: what was computed from
  /// this tensor is still right as long as its number is the same. write() and update() draw a new
  /// one, so ask them again before writing through a pointer after a pass; views have the number
  /// of the memory that they share.
  std::uint64_t version() const;

  /// Bytes that the contents take on one device once they are touched.
  Index bytes() const { return count() * static_cast<Index>(sizeof(float)); }
  /// True once memory has been allocated.
  bool allocated() const;

 private:
  template <class T>
  T* access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const;

  Shape shape_;
  std::shared_ptr<Storage> storage_;
};

/// Data and gradient of one thing: an activation or a parameter. Gradients of activations are
/// overwritten by backward passes, gradients of parameters are added to.
struct Blob {
  Tensor data, grad;
  /// False for a parameter whose gradient nobody wants (lr_mult 0): backward may skip it.
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
