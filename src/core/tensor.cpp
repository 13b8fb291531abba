#include "doppio/tensor.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

std::size_t byte_size(Index count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
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
  bool allocated() const { return host_ != nullptr || device_ != nullptr; }

  void grow(Index count) {
    if (count <= capacity_) return;
    release();
    capacity_ = count;
  }

  float* access(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents,
                bool exclusive) {
    return accelerator ? on_device(accelerator, keep_contents, exclusive)
                       : on_host(keep_contents, exclusive);
  }

 private:
  float* on_host(bool keep_contents, bool exclusive) {
    if (!host_) {
      host_ = static_cast<float*>(std::aligned_alloc(kAlignment, byte_size(capacity_)));
      require(host_ != nullptr, "out of memory: ", byte_size(capacity_),
              " bytes wanted on the host; try a smaller batch_size");
    }
    if (keep_contents && !host_current_) {
      if (device_current_)
        accelerator_->to_host(host_, device_, byte_size(capacity_));
      else
        std::memset(host_, 0, byte_size(capacity_));
    }
    host_current_ = true;
    if (exclusive || !keep_contents) device_current_ = false;
    return host_;
  }

  float* on_device(const std::shared_ptr<Accelerator>& accelerator, bool keep_contents,
                   bool exclusive) {
    if (accelerator_ != accelerator) leave_device(keep_contents);
    if (!device_) {
      accelerator_ = accelerator;
      device_ = static_cast<float*>(accelerator->allocate(byte_size(capacity_)));
    }
    if (keep_contents && !device_current_) {
      if (host_current_)
        accelerator->to_device(device_, host_, byte_size(capacity_));
      else
        accelerator->zero(device_, byte_size(capacity_));
    }
    device_current_ = true;
    if (exclusive || !keep_contents) host_current_ = false;
    return device_;
  }

  void leave_device(bool keep_contents) {
    if (keep_contents && device_current_) on_host(true, false);
    if (device_) accelerator_->release(device_);
    device_ = nullptr;
    device_current_ = false;
  }

  void release() {
    leave_device(false);
    std::free(host_);
    host_ = nullptr;
    host_current_ = false;
  }

  Index capacity_ = 1;  // the default shape is a scalar's
  float* host_ = nullptr;
  float* device_ = nullptr;
  std::shared_ptr<Accelerator> accelerator_;  // keeps the device memory's owner alive
  bool host_current_ = false;
  bool device_current_ = false;
};

Tensor::Tensor() : storage_(std::make_shared<Storage>()) {}

void Tensor::reshape(const Shape& shape) {
  shape_ = shape;
  storage_->grow(shape.count());
}

const float* Tensor::read(const Context& ctx) const {
  return storage_->access(ctx.accelerator(), true, false);
}
float* Tensor::write(const Context& ctx) {
  return storage_->access(ctx.accelerator(), false, true);
}
float* Tensor::update(const Context& ctx) {
  return storage_->access(ctx.accelerator(), true, true);
}

const float* Tensor::read_host() const { return storage_->access(nullptr, true, false); }
float* Tensor::write_host() { return storage_->access(nullptr, false, true); }
float* Tensor::update_host() { return storage_->access(nullptr, true, true); }

void Tensor::share(const Tensor& other) {
  ensure(count() <= other.storage_->capacity(), "a view cannot be larger than what it views");
  storage_ = other.storage_;
}

bool Tensor::allocated() const { return storage_->allocated(); }

}  // namespace doppio
