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

TEST(ParallelFor, SharesOutFewCallsWithMuchWork) {
  Context ctx;
  const int before = omp_get_max_threads();
  omp_set_num_threads(2);
  int threads[2] = {-1, -1};
  parallel_for(ctx, 2, kSerialBelow,
               [t = &threads[0]] KERNEL(Index i) { t[i] = omp_get_thread_num(); });
  omp_set_num_threads(before);
  EXPECT_EQ(threads[0], 0);
  EXPECT_EQ(threads[1], 1);
}

// Where a thread's share ends in the middle of a vector register, the rest is computed by other
// instructions.
TEST(ParallelFor, DoesNotDependOnTheNumberOfThreads) {
  Context ctx;
  constexpr Index n = 3 * kSerialBelow + 7;
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    std::vector<float> y(n);
    parallel_for(ctx, n, [y = y.data()] KERNEL(Index i) {
      const float x = static_cast<float>(i) * 0.1f;
      y[i] = x * x - 0.3f * x;
    });
    omp_set_num_threads(before);
    return y;
  };
  const std::vector<float> once = run(1);
  EXPECT_FLOAT_EQ(once[10], 0.7f);
  EXPECT_EQ(run(2), once);
  EXPECT_EQ(run(5), once);
}

#ifdef __OPTIMIZE__  // or nothing is inlined, and so compiled for no other instruction set
// (1 + d)^2 - 1 with d = 2^-12: its last term, d^2, survives only in a fused multiply-add.
TEST(ParallelFor, UsesTheInstructionsOfTheCpu) {
  Context ctx;
  const float d = 1.0f / 4096;
  const std::vector<float> x(64, 1 + d);
  std::vector<float> y(64);
  parallel_for(ctx, 64, [x = x.data(), y = y.data()] KERNEL(Index i) { y[i] = x[i] * x[i] - 1; });
  const float rounded = 2 * d, fused = 2 * d + d * d;
  for (const float value : y) EXPECT_EQ(value, cpu_isa() == Isa::baseline ? rounded : fused);
}
#endif

TEST(ReduceRows, SumsAndMaximaByHand) {
  Context ctx;
  const float x[] = {1, 2, 3, -4, -5, -6};
  float out[2];
  const auto element = [x = &x[0]] KERNEL(Index r, Index c) { return x[r * 3 + c]; };
  reduce_rows(ctx, 2, 3, 0, Sum{}, out, element);
  EXPECT_EQ(out[0], 6.0f);
  EXPECT_EQ(out[1], -15.0f);
  reduce_rows(ctx, 2, 3, -std::numeric_limits<double>::infinity(), Max{}, out, element);
  EXPECT_EQ(out[0], 3.0f);
  EXPECT_EQ(out[1], -4.0f);
}

TEST(ReduceRows, AnEmptyRowIsInit) {
  Context ctx;
  float out[2] = {1, 1};
  reduce_rows(ctx, 2, 0, 0, Sum{}, out, [] KERNEL(Index, Index) { return 1.0f; });
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[1], 0.0f);
  reduce_rows(ctx, 0, 2, 7, Sum{}, out, [] KERNEL(Index, Index) { return 1.0f; });
  EXPECT_EQ(out[0], 0.0f);
}

// A float that counts by ones sticks at 2^24.
TEST(ReduceRows, AccumulatesInDouble) {
  Context ctx;
  constexpr Index n = (1 << 24) + 8;
  float one_row = 0, rows[2];
  reduce_rows(ctx, 1, n, 0, Sum{}, &one_row, [] KERNEL(Index, Index) { return 1.0f; });
  EXPECT_EQ(one_row, static_cast<float>(n));
  reduce_rows(ctx, 2, n, 0, Sum{}, rows, [] KERNEL(Index, Index) { return 1.0f; });
  EXPECT_EQ(rows[1], static_cast<float>(n));
}

TEST(ReduceRows, LongRowsDoNotDependOnTheNumberOfThreads) {
  Context ctx;
  const auto total = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    float out = 0;
    reduce_rows(ctx, 1, 100003, 0, Sum{}, &out,
                [] KERNEL(Index, Index c) { return 1.0f / static_cast<float>(c + 1); });
    omp_set_num_threads(before);
    return out;
  };
  EXPECT_NEAR(total(1), 12.0902f, 1e-4f);  // the harmonic number: ln n + 0.5772 + 1 / 2n
  EXPECT_EQ(total(1), total(2));
  EXPECT_EQ(total(1), total(3));
}

}  // namespace
}  // namespace doppio
