#include "doppio/tensor.hpp"

#include <memory>
#include <utility>

#include "core/storage.hpp"
#include "doppio/error.hpp"

namespace doppio {

Tensor::Tensor() : storage_(std::make_shared<Storage>()) {}

void Tensor::reshape(const Shape& shape) {
  shape_ = shape;
  storage_->grow(static_cast<std::size_t>(bytes()));
}

template <>
float* Tensor::access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const {
  if (layout == Layout::nchw_blocked) {
    ensure(!ctx.accelerator() && can_block(), "this tensor cannot be blocked");
    return storage_->blocked(tensor_dims(shape_), keep_contents, exclusive);
  }
  if (layout == Layout::nhwc) {
    ensure(ctx.accelerator() && shape_.axes() == 4, "NHWC is for accelerators and four axes");
    return storage_->nhwc(ctx.accelerator(), tensor_dims(shape_), keep_contents, exclusive);
  }
  return static_cast<float*>(storage_->access(ctx.accelerator(), keep_contents, exclusive));
}

template <>
Bf16* Tensor::access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const {
  ensure(ctx.accelerator() && shape_.axes() == 4 && layout == Layout::nhwc,
         "bfloat16 is for accelerators, four axes and NHWC");
  return storage_->nhwc_bf16(ctx.accelerator(), tensor_dims(shape_), keep_contents, exclusive);
}

template <class T>
const T* Tensor::read(const Context& ctx, Layout layout) const {
  return access<T>(ctx, layout, true, false);
}
template <class T>
T* Tensor::write(const Context& ctx, Layout layout) {
  return access<T>(ctx, layout, false, true);
}
template <class T>
T* Tensor::update(const Context& ctx, Layout layout) {
  return access<T>(ctx, layout, true, true);
}

template const float* Tensor::read(const Context&, Layout) const;
template float* Tensor::write(const Context&, Layout);
template float* Tensor::update(const Context&, Layout);
template const Bf16* Tensor::read(const Context&, Layout) const;
template Bf16* Tensor::write(const Context&, Layout);
template Bf16* Tensor::update(const Context&, Layout);

const float* Tensor::read_host() const { return static_cast<float*>(storage_->host(true, false)); }
float* Tensor::write_host() { return static_cast<float*>(storage_->host(false, true)); }
float* Tensor::update_host() { return static_cast<float*>(storage_->host(true, true)); }

bool Tensor::can_block() const { return shape_.axes() == 4 && shape_[1] % channel_block() == 0; }

Layout Tensor::layout() const {
  if (shape_.axes() != 4) return Layout::nchw;
  const TensorDims dims = tensor_dims(shape_);
  if (can_block() && storage_->holds_blocked(dims)) return Layout::nchw_blocked;
  return storage_->holds_nhwc(dims) || storage_->holds_bf16(dims) ? Layout::nhwc : Layout::nchw;
}

Element Tensor::element() const {
  const bool rounded = layout() == Layout::nhwc && storage_->holds_bf16(tensor_dims(shape_));
  return rounded ? Element::bf16 : Element::f32;
}

void Tensor::share(const Tensor& other) {
  ensure(static_cast<std::size_t>(bytes()) <= other.storage_->capacity(),
         "a view cannot be larger than what it views");
  storage_ = other.storage_;
}

void Tensor::pin(const Context& ctx) {
  if (ctx.accelerator()) storage_->pin(ctx.accelerator());
}
void Tensor::prefetch_to_device(const Context& ctx) const {
  if (ctx.accelerator()) storage_->prefetch_to_device(ctx.accelerator());
}
void Tensor::prefetch_to_host(const Context& ctx) const {
  if (ctx.accelerator()) storage_->prefetch_to_host(ctx.accelerator());
}

void Tensor::use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
  storage_->use_arena(std::move(arena), name);
}
void Tensor::zero_lazily() { storage_->zero_lazily(); }
bool Tensor::is_lazily_zero() const { return storage_->is_lazily_zero(); }
void Tensor::release() { storage_->release(); }
void Tensor::mark_unavailable() { storage_->mark_unavailable(); }
bool Tensor::is_released() const { return storage_->is_released(); }

std::uint64_t Tensor::version() const { return storage_->version(); }

bool Tensor::allocated() const { return storage_->allocated(); }

}  // namespace doppio
