#pragma once
#include <cstdint>

#include "core/host_device.hpp"

namespace doppio::cuda {

/// Divides 0 <= n < 2^31 by a fixed divisor, 1 <= d <= 2^31, with a multiplication and a shift:
/// GPUs have no divide instruction.
///
/// Source: Granlund and Montgomery, "Division by invariant integers using multiplication" (1994).
class Divider {
 public:
  explicit Divider(std::uint32_t divisor) : divisor_(divisor) {
    while ((std::uint64_t{1} << shift_) < divisor) ++shift_;  // 2^shift >= divisor
    const std::uint64_t excess = (std::uint64_t{1} << shift_) - divisor;
    factor_ = static_cast<std::uint32_t>((excess << 32) / divisor + 1);
  }

  HOST_DEVICE std::uint32_t divisor() const { return divisor_; }
  HOST_DEVICE std::uint32_t quotient(std::uint32_t n) const {
    const auto high = static_cast<std::uint32_t>((std::uint64_t{factor_} * n) >> 32);
    return (high + n) >> shift_;
  }

 private:
  std::uint32_t divisor_, factor_, shift_ = 0;
};

}  // namespace doppio::cuda
