#include "math/gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/cpu.hpp"

namespace doppio {
namespace {

using Values = std::vector<float>;

/// C = alpha * op(A) * op(B) + beta * C for the 2 x 3 times 3 x 2 product below.
Values multiply(Transpose ta, Transpose tb, const Values& A, const Values& B, float alpha = 1,
                float beta = 0, Values C = {NAN, NAN, NAN, NAN}) {
  Context ctx;
  gemm(ctx, ta, tb, 2, 2, 3, alpha, A.data(), B.data(), beta, C.data());
  return C;
}

const Values kA{1, 2, 3, 4, 5, 6};  // 1 2 3 / 4 5 6
const Values kAt{1, 4, 2, 5, 3, 6};
const Values kB{7, 8, 9, 10, 11, 12};  // 7 8 / 9 10 / 11 12
const Values kBt{7, 9, 11, 8, 10, 12};
const Values kProduct{58, 64, 139, 154};  // for example 58 = 1*7 + 2*9 + 3*11

TEST(Gemm, MultipliesWithEachTranspose) {
  EXPECT_EQ(multiply(Transpose::no, Transpose::no, kA, kB), kProduct);
  EXPECT_EQ(multiply(Transpose::yes, Transpose::no, kAt, kB), kProduct);
  EXPECT_EQ(multiply(Transpose::no, Transpose::yes, kA, kBt), kProduct);
  EXPECT_EQ(multiply(Transpose::yes, Transpose::yes, kAt, kBt), kProduct);
}

TEST(Gemm, ScalesAndAdds) {
  EXPECT_EQ(multiply(Transpose::no, Transpose::no, kA, kB, 2, 0.5f, {10, 20, 30, 40}),
            (Values{121, 138, 293, 328}));
}

TEST(Gemm, RowsOfWholePages) {
  constexpr Index kM = 32, kN = 1024, kK = 3;
  Values A(kM * kK), At(kM * kK), B(kK * kN), C(kM * kN, 1.0f);
  for (Index m = 0; m < kM; ++m)
    for (Index k = 0; k < kK; ++k)
      At[static_cast<std::size_t>(k * kM + m)] = A[static_cast<std::size_t>(m * kK + k)] =
          static_cast<float>(m - k);
  for (std::size_t i = 0; i < B.size(); ++i) B[i] = static_cast<float>(i % 7);
  Context ctx;
  gemm(ctx, Transpose::no, Transpose::no, kM, kN, kK, 1, A.data(), B.data(), 1, C.data());
  gemm(ctx, Transpose::yes, Transpose::no, kM, kN, kK, 1, At.data(), B.data(), 1, C.data());
  for (Index m = 0; m < kM; ++m)
    for (Index n = 0; n < kN; ++n) {
      float sum = 0;
      for (Index k = 0; k < kK; ++k)
        sum += static_cast<float>(m - k) * B[static_cast<std::size_t>(k * kN + n)];
      ASSERT_EQ(C[static_cast<std::size_t>(m * kN + n)], 1 + 2 * sum) << m << ", " << n;
    }
}

TEST(Gemm, LargeBatchTimesATransposedMatrix) {
  constexpr Index kM = 67, kN = 161, kK = 130;
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  Values A(kM * kK), At(A.size()), B(kN * kK), C(kM * kN, NAN);
  for (Index m = 0; m < kM; ++m)
    for (Index k = 0; k < kK; ++k)
      A[at(m * kK + k)] = At[at(k * kM + m)] = static_cast<float>((m * 3 + k) % 7 - 3);
  for (std::size_t i = 0; i < B.size(); ++i) B[i] = static_cast<float>(i % 9) - 4;
  Context ctx;
  gemm(ctx, Transpose::no, Transpose::yes, kM, kN, kK, 1, A.data(), B.data(), 0, C.data());
  gemm(ctx, Transpose::yes, Transpose::yes, kM, kN, kK, 1, At.data(), B.data(), 0.5f, C.data());
  for (Index m = 0; m < kM; ++m)
    for (Index n = 0; n < kN; ++n) {
      float sum = 0;
      for (Index k = 0; k < kK; ++k) sum += A[at(m * kK + k)] * B[at(n * kK + k)];
      ASSERT_EQ(C[at(m * kN + n)], 1.5f * sum) << m << ", " << n;
    }
}

/// Odd sizes, all transposes; whole numbers up to 8 are exact in bfloat16.
TEST(Gemm, TakesFactorsOfBfloat16) {
  constexpr Index kM = 17, kN = 35, kK = 50;
  const auto a = [](Index m, Index k) { return static_cast<float>((m * 5 + k * 3) % 17 - 8); };
  const auto b = [](Index k, Index n) { return static_cast<float>((k * 7 + n * 2) % 15 - 7); };
  const auto at = [](Index i) { return static_cast<std::size_t>(i); };
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      Values A(kM * kK), B(kK * kN), C(kM * kN, 2.0f);
      for (Index k = 0; k < kK; ++k) {
        for (Index m = 0; m < kM; ++m) A[at(ta ? k * kM + m : m * kK + k)] = a(m, k);
        for (Index n = 0; n < kN; ++n) B[at(tb ? n * kK + k : k * kN + n)] = b(k, n);
      }
      Context ctx;
      const auto add = [&](float beta) {
        gemm(ctx, ta ? Transpose::yes : Transpose::no, tb ? Transpose::yes : Transpose::no, kM, kN,
             kK, 1, A.data(), B.data(), beta, C.data(), Precision::bfloat16);
      };
      add(0);
      add(1);
      for (Index m = 0; m < kM; ++m)
        for (Index n = 0; n < kN; ++n) {
          float sum = 0;
          for (Index k = 0; k < kK; ++k) sum += a(m, k) * b(k, n);
          ASSERT_EQ(C[at(m * kN + n)], 2 * sum) << m << ", " << n;
        }
    }
}

TEST(Gemm, RoundsFactorsWhereTheCpuGains) {
  constexpr Index kSize = 32;
  Values A(kSize * kSize, 1 + 1 / 512.0f), B(kSize * kSize, 1), C(kSize * kSize);
  Context ctx;
  gemm(ctx, Transpose::no, Transpose::no, kSize, kSize, kSize, 1, A.data(), B.data(), 0, C.data(),
       Precision::bfloat16);
  const bool rounds = gemm_workspace(kSize, kSize, kSize, Precision::bfloat16) > 0;
  EXPECT_EQ(rounds, cpu_has_bf16());
  EXPECT_EQ(C[0], rounds ? kSize : kSize * A[0]);
  EXPECT_EQ(gemm_workspace(1, kSize, kSize, Precision::bfloat16), 0);
  EXPECT_EQ(gemm_workspace(kSize, kSize, kSize, Precision::float32), 0);
}

TEST(Gemm, MatrixTimesVectorOfAnySize) {
  Context ctx;
  for (const Index N : {1, 4, 7})
    for (const Index K : {3, 16, 53}) {
      Values x(static_cast<std::size_t>(K)), B(static_cast<std::size_t>(N * K));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 5) - 2;
      for (std::size_t i = 0; i < B.size(); ++i) B[i] = static_cast<float>(i % 7);
      Values y(static_cast<std::size_t>(N), NAN), sum(static_cast<std::size_t>(N), 10);
      gemm(ctx, Transpose::no, Transpose::yes, 1, N, K, 1, x.data(), B.data(), 0, y.data());
      gemm(ctx, Transpose::no, Transpose::yes, 1, N, K, 2, x.data(), B.data(), 0.5f, sum.data());
      for (std::size_t n = 0; n < y.size(); ++n) {
        float expected = 0;
        for (std::size_t k = 0; k < x.size(); ++k) expected += B[n * x.size() + k] * x[k];
        EXPECT_EQ(y[n], expected) << N << " x " << K << ", row " << n;
        EXPECT_EQ(sum[n], 2 * expected + 5) << N << " x " << K << ", row " << n;
      }
    }
}

TEST(Gemm, WithoutAnInnerDimensionOnlyScalesC) {
  Context ctx;
  const float unused = 0;
  for (const Transpose ta : {Transpose::no, Transpose::yes})
    for (const Transpose tb : {Transpose::no, Transpose::yes}) {
      Values C{1, 2};
      gemm(ctx, ta, tb, 1, 2, 0, 1, &unused, &unused, 3, C.data());
      EXPECT_EQ(C, (Values{3, 6}));
    }
}

TEST(Gemm, AnEmptyResultIsNotTouched) {
  Context ctx;
  float C = 5;
  gemm(ctx, Transpose::no, Transpose::no, 0, 3, 2, 1, nullptr, nullptr, 0, &C);
  gemm(ctx, Transpose::no, Transpose::no, 3, 0, 2, 1, nullptr, nullptr, 0, &C);
  EXPECT_EQ(C, 5.0f);
}

}  // namespace
}  // namespace doppio
