#pragma once
#include "doppio/error.hpp"
#include "support/layer_harness.hpp"

namespace doppio {

/// A test that needs a card and says why it did not run where there is none.
class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      ctx = std::make_unique<Context>(open_accelerator(0));
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
  }

  std::unique_ptr<Context> ctx;
};

}  // namespace doppio
