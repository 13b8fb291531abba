#include "cuda/kernels/divider.hpp"

#include <gtest/gtest.h>

namespace doppio::cuda {
namespace {

TEST(Divider, AgreesWithDivision) {
  constexpr std::uint32_t kLast = (1u << 31) - 1;
  for (const std::uint32_t d : {1u, 2u, 3u, 5u, 7u, 13u, 55u, 227u, 1000u, 65535u, 65536u, 65537u,
                                (1u << 30) - 1, 1u << 30, kLast, 1u << 31}) {
    const Divider divider(d);
    EXPECT_EQ(divider.divisor(), d);
    for (std::uint32_t n = 0; n < 3000; ++n)
      ASSERT_EQ(divider.quotient(n), n / d) << n << " / " << d;
    for (std::uint32_t n = kLast; n > kLast - 3000; --n)
      ASSERT_EQ(divider.quotient(n), n / d) << n << " / " << d;
    for (std::uint32_t q = 1; q < 3000 && std::uint64_t{q} * d < kLast; ++q) {
      ASSERT_EQ(divider.quotient(q * d - 1), q - 1) << q << " * " << d;
      ASSERT_EQ(divider.quotient(q * d), q) << q << " * " << d;
    }
  }
}

}  // namespace
}  // namespace doppio::cuda
