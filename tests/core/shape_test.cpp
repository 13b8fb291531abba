#include "doppio/shape.hpp"

#include <gtest/gtest.h>

#include "doppio/error.hpp"

namespace doppio {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape s{64, 20, 4, 4};
  EXPECT_EQ(s.count(), 20480);
  EXPECT_EQ(s.count(1, 3), 80);
  EXPECT_EQ(s.count_before(0), 1);
  EXPECT_EQ(s.text(), "64 x 20 x 4 x 4");
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ(Shape{}.text(), "scalar");
}

TEST(Shape, AxesCountFromTheEndToo) {
  const Shape s{2, 3, 4};
  EXPECT_EQ(s.canonical(-1), 2);
  EXPECT_EQ(s.canonical(1), 1);
  EXPECT_THROW(s.canonical(3), Error);
  EXPECT_THROW(s.canonical(-4), Error);
}

TEST(Shape, RefusesWhatCannotBe) {
  EXPECT_THROW((Shape{-1, 2}), Error);
  EXPECT_THROW((Shape{Index{1} << 40}), Error);
  EXPECT_THROW((Shape{Index{1} << 32, Index{1} << 32, Index{1} << 32}), Error);
  EXPECT_THROW((Shape{0, Index{1} << 62, Index{1} << 62}), Error);
  EXPECT_EQ((Shape{0, 5}).count(), 0);
}

}  // namespace
}  // namespace doppio
