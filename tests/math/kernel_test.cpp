#include "math/kernel.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <array>
#include <limits>
#include <vector>

namespace doppio {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnce) {
  Context ctx;
  for (const Index n : {Index{0}, Index{1}, Index{100}, 3 * kSerialBelow + 1}) {
    std::vector<int> visits(static_cast<std::size_t>(n) + 1);
    parallel_for(ctx, n, [v = visits.data()] KERNEL(Index i) { ++v[i]; });
    for (Index i = 0; i < n; ++i) ASSERT_EQ(visits[static_cast<std::size_t>(i)], 1) << i;
    EXPECT_EQ(visits.back(), 0);
  }
}

TEST(ParallelFor, VisitsEveryPointOfABoxOnce) {
  Context ctx;
  for (const auto& [A, B, C] : std::vector<std::array<Index, 3>>{
           {2, 3, 4}, {1, 1, 1}, {0, 3, 4}, {2, 0, 4}, {2, 3, 0}, {40, 30, 20}}) {
    std::vector<int> visits(static_cast<std::size_t>(A * B * C) + 1);
    parallel_for(ctx, {A, B, C},
                 [v = visits.data(), B = B, C = C] KERNEL(Index a, Index b, Index c) {
      ++v[(a * B + b) * C + c];
    });
    for (Index i = 0; i < A * B * C; ++i) ASSERT_EQ(visits[static_cast<std::size_t>(i)], 1) << i;
    EXPECT_EQ(visits.back(), 0);
  }
}

TEST(ReduceRows, SumsAndMaximaByHand) {
  Context ctx;
  const float x[] = {1, 2, 3, -4, -5, -6};
  float out[2];
  const auto element = [x = &x[0]] KERNEL(Index r, Index c) { return x[r * 3 + c]; };
  reduce_rows(ctx, 2, 3, 0, element, Sum{}, out);
  EXPECT_EQ(out[0], 6.0f);
  EXPECT_EQ(out[1], -15.0f);
  reduce_rows(ctx, 2, 3, -std::numeric_limits<double>::infinity(), element, Max{}, out);
  EXPECT_EQ(out[0], 3.0f);
  EXPECT_EQ(out[1], -4.0f);
}

TEST(ReduceRows, AnEmptyRowIsInit) {
  Context ctx;
  float out[2] = {1, 1};
  reduce_rows(
      ctx, 2, 0, 0, [] KERNEL(Index, Index) { return 1.0f; }, Sum{}, out);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[1], 0.0f);
  reduce_rows(
      ctx, 0, 2, 7, [] KERNEL(Index, Index) { return 1.0f; }, Sum{}, out);
  EXPECT_EQ(out[0], 0.0f);
}

// A float that counts by ones sticks at 2^24.
TEST(ReduceRows, AccumulatesInDouble) {
  Context ctx;
  constexpr Index n = (1 << 24) + 8;
  float one_row = 0, rows[2];
  reduce_rows(
      ctx, 1, n, 0, [] KERNEL(Index, Index) { return 1.0f; }, Sum{}, &one_row);
  EXPECT_EQ(one_row, static_cast<float>(n));
  reduce_rows(
      ctx, 2, n, 0, [] KERNEL(Index, Index) { return 1.0f; }, Sum{}, rows);
  EXPECT_EQ(rows[1], static_cast<float>(n));
}

TEST(ReduceRows, LongRowsDoNotDependOnTheNumberOfThreads) {
  Context ctx;
  const auto total = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    float out = 0;
    reduce_rows(
        ctx, 1, 100003, 0, [] KERNEL(Index, Index c) { return 1.0f / static_cast<float>(c + 1); },
        Sum{}, &out);
    omp_set_num_threads(before);
    return out;
  };
  EXPECT_NEAR(total(1), 12.0902f, 1e-4f);  // the harmonic number: ln n + 0.5772 + 1 / 2n
  EXPECT_EQ(total(1), total(2));
  EXPECT_EQ(total(1), total(3));
}

}  // namespace
}  // namespace doppio
