#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace doppio {

/// Returns four independent normal numbers from four words of random bits (Random::block).
///
/// Two uniform numbers give a radius and an angle, and so two normal ones. Source: G. E. P. Box, M.
/// E. Muller, "A note on the generation of random normal deviates" (1958).
inline std::array<float, 4> normals(const std::uint32_t (&words)[4], float mean, float std) {
  constexpr float kUnit = 1.0f / 4294967296.0f;
  std::array<float, 4> values;
  for (std::size_t k = 0; k < 4; k += 2) {
    // Adding 0.5 keeps the logarithm's argument above 0.
    const float u = (static_cast<float>(words[k]) + 0.5f) * kUnit;
    const float angle = 2 * std::numbers::pi_v<float> * kUnit * static_cast<float>(words[k + 1]);
    const float radius = std * std::sqrt(-2.0f * std::log(u));
    values[k] = mean + radius * std::cos(angle);
    values[k + 1] = mean + radius * std::sin(angle);
  }
  return values;
}

}  // namespace doppio
