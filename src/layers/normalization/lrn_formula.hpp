#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/host_device.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// y = x * s^-beta with s = k + alpha * (sum of x^2 over a value's neighbourhood).
struct LrnFormula {
  Index reach = 0;  ///< neighbours on each side
  float k = 1, alpha = 1, beta = 0.75f;

  /// Factor of the second term of the gradient:
  /// dx = dy * s^-beta - cross_term() * x * sum of dy * y / s over the neighbourhood.
  float cross_term() const { return 2 * alpha * beta; }
  friend bool operator==(const LrnFormula&, const LrnFormula&) = default;
};

/// The powers of s in the formulas.
struct LrnFactors {
  float inverse;  ///< 1 / s
  float power;    ///< s^-beta
};

// Factors for one beta each. Square roots are used if possible: powf is several times as slow.

struct BetaThreeQuarters {
  /// Newton's method for s^(-1/4), without division or root. The first guess divides the exponent
  /// by -4; each step roughly squares its error of 3 %.
  HOST_DEVICE LrnFactors operator()(float s) const {
    float root = std::bit_cast<float>(0x4F580000 - (std::bit_cast<std::int32_t>(s) >> 2));
    for (int step = 0; step < 3; ++step) {
      const float square = root * root;
      root *= 1.25f - 0.25f * s * (square * square);
    }
    const float square = root * root;
    return {square * square, square * root};
  }
};
struct BetaOneHalf {
  HOST_DEVICE LrnFactors operator()(float s) const { return {1 / s, std::sqrt(1 / s)}; }
};
struct BetaOne {
  HOST_DEVICE LrnFactors operator()(float s) const { return {1 / s, 1 / s}; }
};
struct AnyBeta {
  float beta;
  HOST_DEVICE LrnFactors operator()(float s) const { return {1 / s, std::pow(s, -beta)}; }
};

/// Calls run(factors) with the type for `beta`.
template <class Run>
void with_factors(float beta, Run run) {
  if (beta == 0.75f)
    run(BetaThreeQuarters{});
  else if (beta == 0.5f)
    run(BetaOneHalf{});
  else if (beta == 1)
    run(BetaOne{});
  else
    run(AnyBeta{beta});
}

}  // namespace doppio
