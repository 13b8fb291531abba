#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

// Loops that call the C library's functions are not vectorised; these are plain arithmetic. On a
// GPU the library's are as fast.

/// x = exponent * ln 2 + rest, and minus_1 = e^rest - 1, for |rest| <= ln 2 / 2.
struct ExpParts {
  std::int32_t exponent;
  float minus_1;
};

/// Source: the reduction and the polynomial of Moshier's Cephes library.
HOST_DEVICE inline ExpParts exp_parts(float x) {
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the lowest bits.
  const float kRound = 12582912.0f;
  const float rounded = x * 1.44269504f + kRound;
  const float n = rounded - kRound;
  const float r = x - n * 0.693359375f - n * -2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {std::bit_cast<std::int32_t>(rounded) - std::bit_cast<std::int32_t>(kRound),
          p * r * r + r};
}

/// 2^n for -126 <= n <= 127.
HOST_DEVICE inline float power_of_2(std::int32_t n) {
  return std::bit_cast<float>((n + 127) << 23);
}

/// e^x to within 2 units in the last place.
HOST_DEVICE inline float fast_exp(float x) {
#ifdef DOPPIO_FOR_CUDA
  return std::exp(x);
#else
  x = x > 89 ? 89 : x < -104 ? -104 : x;  // beyond, the result is infinite or 0
  const ExpParts e = exp_parts(x);
  const std::int32_t half = e.exponent >> 1;  // 2^exponent may exceed the range of float
  return (1 + e.minus_1) * power_of_2(half) * power_of_2(e.exponent - half);
#endif
}

/// e^x - 1, as precise near 0 as elsewhere.
HOST_DEVICE inline float fast_expm1(float x) {
#ifdef DOPPIO_FOR_CUDA
  return std::expm1(x);
#else
  x = x > 88 ? 88 : x < -20 ? -20 : x;  // beyond, the result is huge or -1
  const ExpParts e = exp_parts(x);
  const float scale = power_of_2(e.exponent);
  return e.minus_1 * scale + (scale - 1);
#endif
}

HOST_DEVICE inline float fast_tanh(float x) {
#ifdef DOPPIO_FOR_CUDA
  return std::tanh(x);
#else
  x = x > 10 ? 10 : x < -10 ? -10 : x;  // beyond, the result is 1 or -1
  const float e = fast_expm1(2 * x);
  return e / (e + 2);
#endif
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
