#include "distributed/ordered_sum.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace doppio {
namespace {

TEST(OrderedMean, AddsInTheOrderOfThePartsInDouble) {
  // In float, 1 would vanish beside 1e8.
  std::vector<float> a(1000, 1e8f), b(1000, 1), c(1000, -1e8f);
  const std::vector<const float*> parts = {a.data(), b.data(), c.data()};
  ordered_mean(parts, 1000, b.data());
  for (const float mean : b) ASSERT_EQ(mean, 1.0f / 3);
}

TEST(OrderedMean, OfOnePartIsThatPart) {
  std::vector<float> a = {1, 2, 3}, to(3);
  const std::vector<const float*> parts = {a.data()};
  ordered_mean(parts, 3, to.data());
  EXPECT_EQ(to, a);
}

}  // namespace
}  // namespace doppio
