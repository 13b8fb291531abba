#include "doppio/context.hpp"

#include "doppio/tensor.hpp"

namespace doppio {

struct Context::Workspace {
  Tensor memory;
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

Context::Context(std::uint64_t seed_) : seed(seed_), workspace_(std::make_unique<Workspace>()) {}

Context::Context(std::shared_ptr<Accelerator> accelerator, std::uint64_t seed_)
    : seed(seed_),
      accelerator_(std::move(accelerator)),
      workspace_(std::make_unique<Workspace>()) {}

Context::~Context() = default;

float* Context::workspace(Index count) {
  Tensor& memory = workspace_->memory;
  if (count > memory.count()) memory.reshape({count});
  return memory.write(*this);
}

Index Context::workspace_bytes() const {
  const Tensor& memory = workspace_->memory;
  return memory.allocated() ? memory.bytes() : 0;
}

}  // namespace doppio
