#pragma once
#include "doppio/error.hpp"
#include "support/layer_harness.hpp"
#include "support/test_gpu.hpp"

namespace doppio {

/// A test that needs a GPU; without one it is skipped and says why.
class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      ctx = std::make_unique<Context>(test_gpu());
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
  }

  std::unique_ptr<Context> ctx;
};

}  // namespace doppio
