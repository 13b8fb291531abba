#pragma once
#include <bit>
#include <cstdint>

#include "core/host_device.hpp"

namespace doppio {

/// Rounds to the nearest bfloat16 (the upper half of a float), ties to even. Keeps NaN.
HOST_DEVICE inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  constexpr std::uint16_t kNan = 0x7fc0;
  return value != value ? kNan : static_cast<std::uint16_t>(rounded >> 16);
}

/// A bfloat16 value, see Element::bf16.
struct Bf16 {
  std::uint16_t bits = 0;

  Bf16() = default;
  HOST_DEVICE explicit Bf16(float value) : bits(to_bf16(value)) {}
  HOST_DEVICE operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

}  // namespace doppio
