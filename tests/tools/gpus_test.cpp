#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "doppio/error.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"

namespace doppio {
namespace {

constexpr const char* kLoading = "CUDA_MODULE_LOADING";

/// Returns the loading mode that open_gpus() sets in the environment, even if there is no GPU.
std::string loading_with(const std::string& gpus) {
  const gflags::FlagSaver restore;
  FLAGS_gpu = gpus;
  try {
    open_gpus();
  } catch (const Error&) {
  }
  const char* value = std::getenv(kLoading);
  return value ? value : "";
}

TEST(OpenGpus, SeveralHaveAllTheirKernelsLoadedFirst) {
  const char* before = std::getenv(kLoading);
  const std::string previous = before ? before : "";
  unsetenv(kLoading);

  EXPECT_EQ(loading_with("0"), "");
  EXPECT_EQ(loading_with("0,1"), "EAGER");
  unsetenv(kLoading);
  EXPECT_EQ(loading_with("all"), "EAGER");
  setenv(kLoading, "LAZY", 1);
  EXPECT_EQ(loading_with("0,1"), "LAZY") << "the user's choice";

  if (before)
    setenv(kLoading, previous.c_str(), 1);
  else
    unsetenv(kLoading);
}

}  // namespace
}  // namespace doppio
