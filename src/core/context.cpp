#include "doppio/context.hpp"

#include "core/accelerator.hpp"
#include "core/buffer.hpp"
#include "core/wait_policy.hpp"

namespace doppio {

struct Context::Workspace {
  Buffer<std::byte> memory;
  Buffer<double> partial_sums;

  template <class T>
  static T* take(const Context& ctx, Buffer<T>& memory, Index count) {
    if (count > memory.count()) memory.resize(count);
    return memory.write(ctx);
  }
};

const char* device_name(Device device) {
  switch (device) {
    case Device::cpu:
      return "cpu";
    case Device::cuda:
      return "cuda";
    case Device::any:
      return "any";
  }
  return "?";
}

Context::Context(std::uint64_t seed_) : Context(nullptr, seed_) {}

Context::Context(std::shared_ptr<Accelerator> accelerator, std::uint64_t seed_)
    : seed(seed_), accelerator_(std::move(accelerator)), workspace_(std::make_unique<Workspace>()) {
  choose_waits();
}

Context::~Context() = default;

void* Context::stream() const { return accelerator_->stream(); }

void* Context::workspace_memory(Index bytes) {
  return Workspace::take(*this, workspace_->memory, bytes);
}

double* Context::partial_sums(Index count) {
  return Workspace::take(*this, workspace_->partial_sums, count);
}

Index Context::workspace_bytes() const {
  const Buffer<std::byte>& memory = workspace_->memory;
  return memory.allocated() ? memory.bytes() : 0;
}

}  // namespace doppio
