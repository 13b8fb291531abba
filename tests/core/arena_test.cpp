#include "core/arena.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "doppio/error.hpp"

namespace doppio {
namespace {

TEST(Placement, RoundsUpToCacheLinesAndAppends) {
  Placement row;
  EXPECT_EQ(row.take(100), 0u);
  EXPECT_EQ(row.take(0), 128u);  // even nothing has an address of its own
  EXPECT_EQ(row.take(64), 192u);
  EXPECT_EQ(row.peak(), 256u);
}

TEST(Placement, TakesTheSmallestGapThatIsLargeEnough) {
  Placement row;
  const std::size_t large = row.take(512);
  row.take(64);
  const std::size_t small = row.take(256);
  row.take(64);
  row.give_back(large);
  row.give_back(small);
  EXPECT_EQ(row.take(192), small);
  EXPECT_EQ(row.take(64), small + 192);  // the rest of that gap
  EXPECT_EQ(row.take(512), large);
  EXPECT_EQ(row.take(64), 896u);
  EXPECT_EQ(row.peak(), 960u);
}

TEST(Placement, JoinsGapsAndKeepsItsPeak) {
  Placement row;
  const std::size_t a = row.take(64), b = row.take(64), c = row.take(64);
  row.give_back(a);
  row.give_back(b);
  EXPECT_EQ(row.take(128), 0u);
  row.give_back(0);
  row.give_back(c);
  EXPECT_EQ(row.blocks(), 0u);
  EXPECT_EQ(row.take(64), 0u);
  EXPECT_EQ(row.peak(), 192u);
}

TEST(Placement, RefusesWhatExceedsItsCapacity) {
  Placement row(256);
  EXPECT_EQ(row.take(257), Placement::kNone);
  EXPECT_EQ(row.take(192), 0u);
  EXPECT_EQ(row.take(65), Placement::kNone);
  EXPECT_EQ(row.take(64), 192u);
}

TEST(Placement, TakesBackOnlyWhatItGave) {
  Placement row;
  row.take(64);
  EXPECT_THROW(row.give_back(64), InternalError);
}

TEST(Arena, HandsOutMemoryAndUsesItAgain) {
  Arena arena(1 << 20);
  void* a = arena.take(1000);
  void* b = arena.take(1000);
  ASSERT_TRUE(a && b);
  std::memset(a, 1, 1000);
  std::memset(b, 2, 1000);
  EXPECT_EQ(static_cast<char*>(a)[999], 1);
  EXPECT_TRUE(arena.give_back(a));
  EXPECT_EQ(arena.take(500), a);
  EXPECT_EQ(arena.peak(), 2048u);
}

TEST(Arena, HasNoRoomBeyondItsSizeAndKnowsStrangers) {
  Arena arena(4096), none(0);
  EXPECT_EQ(arena.take(4097), nullptr);
  EXPECT_EQ(none.take(1), nullptr);
  int elsewhere = 0;
  EXPECT_FALSE(arena.give_back(&elsewhere));
  EXPECT_FALSE(none.give_back(&elsewhere));
}

}  // namespace
}  // namespace doppio
