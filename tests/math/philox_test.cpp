#include "math/philox.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace doppio {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words block(const Random& random, std::uint64_t b) {
  std::uint32_t c[4];
  random.block(b, c);
  return {c[0], c[1], c[2], c[3]};
}

// Known answers that Random123 publishes for philox4x32-10. Its counter words are, in order, the
// low and high half of the block number, the pass and the stream; its key is the seed.
TEST(Philox, MatchesPublishedAnswers) {
  EXPECT_EQ(block({}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(block({.seed = ~std::uint64_t{0}, .stream = 0xffffffff, .pass = 0xffffffff},
                  ~std::uint64_t{0}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(block({.seed = 0x299f31d0'a4093822, .stream = 0x03707344, .pass = 0x13198a2e},
                  0x85a308d3'243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, DrawsAreTheWordsOfTheBlocksInOrder) {
  const Random random{.seed = 1, .stream = 2, .pass = 3};
  for (Index i = 0; i < 12; ++i)
    EXPECT_EQ(random.bits(i), block(random, static_cast<std::uint64_t>(i / 4))[i % 4]) << i;
}

TEST(Philox, UniformIsFromZeroToBelowOneWithTheRightMean) {
  const Random random{.seed = 42};
  double sum = 0;
  std::array<int, 8> histogram{};
  constexpr Index n = 80000;
  for (Index i = 0; i < n; ++i) {
    const float u = random.uniform(i);
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    sum += u;
    ++histogram[static_cast<std::size_t>(u * 8)];
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);                                  // 5 standard errors
  for (const int count : histogram) EXPECT_NEAR(count, 10000, 500);  // likewise
}

TEST(Philox, BelowStaysBelowAndReachesEveryValue) {
  const Random random{.seed = 7};
  std::array<int, 3> histogram{};
  for (Index i = 0; i < 3000; ++i) ++histogram.at(static_cast<std::size_t>(random.below(3, i)));
  for (const int count : histogram) EXPECT_NEAR(count, 1000, 130);
  EXPECT_EQ(random.below(1, 5), 0);
}

TEST(Philox, EveryPartOfTheKeyMatters) {
  const Random random{.seed = 1, .stream = 2, .pass = 3};
  const auto first = [](const Random& r) { return block(r, 0); };
  EXPECT_EQ(first(random), first(random));
  for (const Random& other : std::vector<Random>{{2, 2, 3},
                                                 {1 + (std::uint64_t{1} << 32), 2, 3},
                                                 {1, 3, 3},
                                                 {1, 2, 4},
                                                 {1, 2, 3 + (std::uint64_t{1} << 32)}})
    EXPECT_NE(first(random), first(other));
}

TEST(Philox, StreamsOfNamesDiffer) {
  EXPECT_EQ(stream_of(""), 2166136261u);   // FNV-1a's offset basis
  EXPECT_EQ(stream_of("a"), 0xe40c292cu);  // and a published value
  EXPECT_NE(stream_of("drop6"), stream_of("drop7"));
}

}  // namespace
}  // namespace doppio
