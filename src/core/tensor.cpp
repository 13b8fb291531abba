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

float* Tensor::access(const Context& ctx, Layout layout, bool keep_contents, bool exclusive) const {
  if (layout == Layout::blocked) {
    ensure(!ctx.accelerator() && can_block(), "this tensor cannot be blocked");
    return storage_->blocked(blocks_of(shape_), keep_contents, exclusive);
  }
  if (layout != Layout::plain) {
    ensure(ctx.accelerator() && shape_.axes() == 4, "channels come last on accelerators alone");
    return static_cast<float*>(storage_->channels_last(ctx.accelerator(), blocks_of(shape_), layout,
                                                       keep_contents, exclusive));
  }
  return static_cast<float*>(storage_->access(ctx.accelerator(), keep_contents, exclusive));
}

const float* Tensor::read(const Context& ctx, Layout layout) const {
  return access(ctx, layout, true, false);
}
float* Tensor::write(const Context& ctx, Layout layout) { return access(ctx, layout, false, true); }
float* Tensor::update(const Context& ctx, Layout layout) { return access(ctx, layout, true, true); }

const float* Tensor::read_host() const { return static_cast<float*>(storage_->plain(true, false)); }
float* Tensor::write_host() { return static_cast<float*>(storage_->plain(false, true)); }
float* Tensor::update_host() { return static_cast<float*>(storage_->plain(true, true)); }

bool Tensor::can_block() const { return shape_.axes() == 4 && shape_[1] % channel_block() == 0; }

Layout Tensor::layout() const {
  if (shape_.axes() != 4) return Layout::plain;
  const Blocks sizes = blocks_of(shape_);
  return can_block() && storage_->holds(sizes) ? Layout::blocked : storage_->layout_of(sizes);
}

void Tensor::share(const Tensor& other) {
  ensure(static_cast<std::size_t>(bytes()) <= other.storage_->capacity(),
         "a view cannot be larger than what it views");
  storage_ = other.storage_;
}

void Tensor::pin(const Context& ctx) {
  if (ctx.accelerator()) storage_->pin(ctx.accelerator());
}
void Tensor::prefetch(const Context& ctx) const {
  if (ctx.accelerator()) storage_->prefetch(ctx.accelerator());
}
void Tensor::fetch(const Context& ctx) const {
  if (ctx.accelerator()) storage_->fetch(ctx.accelerator());
}

void Tensor::use_arena(std::shared_ptr<Arena> arena, const std::string& name) {
  storage_->use_arena(std::move(arena), name);
}
void Tensor::clear() { storage_->clear(); }
bool Tensor::cleared() const { return storage_->cleared(); }
void Tensor::discard() { storage_->discard(); }
void Tensor::omit() { storage_->omit(); }
bool Tensor::discarded() const { return storage_->discarded(); }

std::uint64_t Tensor::version() const { return storage_->version(); }

bool Tensor::allocated() const { return storage_->allocated(); }

}  // namespace doppio
