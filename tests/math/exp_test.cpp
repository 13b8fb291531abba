#include "math/exp.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace doppio {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// The largest relative error of `fast` for x from `first` to `last`.
template <class Fast, class Exact>
double worst_error(float first, float last, Fast fast, Exact exact) {
  double worst = 0;
  for (int i = 0; i <= 100000; ++i) {
    const float x = first + (last - first) * static_cast<float>(i) / 100000;
    const double wanted = exact(static_cast<double>(x));
    if (wanted != 0) worst = std::max(worst, std::abs(fast(x) / wanted - 1));
  }
  return worst;
}

TEST(FastExp, IsPreciseToTwoUnitsInTheLastPlace) {
  const double two_units = 2 * std::numeric_limits<float>::epsilon();
  const auto exact = [](double x) { return std::exp(x); };
  EXPECT_LT(worst_error(-87, 88.7f, fast_exp, exact), two_units);
  EXPECT_LT(worst_error(-1, 1, fast_exp, exact), two_units);
  EXPECT_EQ(fast_exp(0), 1.0f);
}

TEST(FastExp, KnowsTheEndsOfTheRange) {
  EXPECT_EQ(fast_exp(89), kInfinity);
  EXPECT_EQ(fast_exp(kInfinity), kInfinity);
  EXPECT_EQ(fast_exp(-104), 0.0f);
  EXPECT_EQ(fast_exp(-kInfinity), 0.0f);
  EXPECT_TRUE(std::isnan(fast_exp(kNan)));
  EXPECT_NEAR(fast_exp(-100) / std::exp(-100.0), 1, 0.02);  // a number with few digits
}

TEST(FastExpm1, IsPreciseNearZeroToo) {
  const double four_units = 4 * std::numeric_limits<float>::epsilon();
  const auto exact = [](double x) { return std::expm1(x); };
  EXPECT_LT(worst_error(-30, 88, fast_expm1, exact), four_units);
  EXPECT_LT(worst_error(-1e-3f, 1e-3f, fast_expm1, exact), four_units);
  EXPECT_EQ(fast_expm1(0), 0.0f);
  EXPECT_EQ(fast_expm1(-kInfinity), -1.0f);
  EXPECT_TRUE(std::isnan(fast_expm1(kNan)));
}

TEST(FastTanh, IsPreciseNearZeroToo) {
  const double four_units = 4 * std::numeric_limits<float>::epsilon();
  const auto exact = [](double x) { return std::tanh(x); };
  EXPECT_LT(worst_error(-12, 12, fast_tanh, exact), four_units);
  EXPECT_LT(worst_error(-1e-3f, 1e-3f, fast_tanh, exact), four_units);
  EXPECT_EQ(fast_tanh(0), 0.0f);
  EXPECT_EQ(fast_tanh(kInfinity), 1.0f);
  EXPECT_EQ(fast_tanh(-kInfinity), -1.0f);
  EXPECT_TRUE(std::isnan(fast_tanh(kNan)));
}

}  // namespace
}  // namespace doppio
