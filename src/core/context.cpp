#include "doppio/context.hpp"

#include "core/accelerator.hpp"
#include "core/threads.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

struct Context::Workspace {
  Tensor memory, partial_sums;

  static float* take(const Context& ctx, Tensor& memory, Index count) {
    if (count > memory.count()) memory.reshape({count});
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

float* Context::workspace(Index count) { return Workspace::take(*this, workspace_->memory, count); }

double* Context::partial_sums(Index count) {
  return reinterpret_cast<double*>(Workspace::take(*this, workspace_->partial_sums, 2 * count));
}

Index Context::workspace_bytes() const {
  const Tensor& memory = workspace_->memory;
  return memory.allocated() ? memory.bytes() : 0;
}

}  // namespace doppio
