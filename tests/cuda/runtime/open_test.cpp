#include "doppio/error.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(OpenAccelerator, WithoutAGpuSaysWhyAndWhatToDo) {
  if (!list_accelerators().empty()) GTEST_SKIP() << "this machine has a GPU";
  const std::string error = error_of([] { open_accelerator(0); });
  EXPECT_NE(error.find("leave --gpu out to run on the CPU"), std::string::npos) << error;
  EXPECT_NE(error.find(built_with_cuda() ? "no NVIDIA" : "this build has no CUDA"),
            std::string::npos)
      << error;
}

/// Libraries that are there have all functions that are asked of them.
TEST(AcceleratorSupport, SaysWhatWasFound) {
  const std::string support = accelerator_support();
  EXPECT_EQ(support.find("has no function"), std::string::npos) << support;
  if (!built_with_cuda()) return;
  EXPECT_NE(support.find("cuDNN"), std::string::npos) << support;
  EXPECT_NE(support.find("NCCL"), std::string::npos) << support;
}

}  // namespace
}  // namespace doppio
