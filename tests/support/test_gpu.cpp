#include "support/test_gpu.hpp"

#include <gtest/gtest.h>

#include "core/accelerator.hpp"

namespace doppio {

namespace {

/// Closes the GPU before static objects are destroyed, when CUDA may already have shut down.
class OpenGpu : public testing::Environment {
 public:
  std::shared_ptr<Accelerator> gpu;
  void TearDown() override { gpu = nullptr; }
};

}  // namespace

std::shared_ptr<Accelerator> test_gpu() {
  static OpenGpu* const open = [] {
    auto* environment = new OpenGpu;  // GoogleTest deletes it
    testing::AddGlobalTestEnvironment(environment);
    return environment;
  }();
  if (!open->gpu) open->gpu = open_accelerator(0);
  return open->gpu;
}

std::unique_ptr<Context> test_context(Device device) {
  return device == Device::cpu ? std::make_unique<Context>(1)
                               : std::make_unique<Context>(test_gpu(), 1);
}

}  // namespace doppio
