#pragma once
#include <memory>

#include "doppio/context.hpp"

namespace doppio {

/// Returns the GPU that the tests of a program share: the first call opens it, which can take
/// longer than the test, and it is closed after the last test. Tests that need two open their own.
/// Throws: Error if there is none.
std::shared_ptr<Accelerator> test_gpu();

/// Returns a context on the CPU or on test_gpu(), with seed 1.
std::unique_ptr<Context> test_context(Device device);

}  // namespace doppio
