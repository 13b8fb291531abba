#include "math/kernel.hpp"

#include <limits>

#include "cuda/gpu_test.hpp"
#include "math/gemm.hpp"

namespace doppio {

class KernelTest : public GpuTest {};

// Kernels cannot be written inside a TEST_F, whose body is a private member.

void visit(Context& ctx, Index n, float* visits) {
  parallel_for(ctx, n, [=] KERNEL(Index i) { visits[i] += static_cast<float>(i % 7 + 1); });
}

TEST_F(KernelTest, ParallelForVisitsEveryIndexOnce) {
  for (const Index n : {Index{0}, Index{1}, Index{255}, Index{257}, Index{6000001}}) {
    Tensor visits;
    visits.reshape({n});
    visit(*ctx, n, visits.update(*ctx));
    const float* v = visits.read_host();
    for (Index i = 0; i < n; ++i) ASSERT_EQ(v[i], static_cast<float>(i % 7 + 1)) << i;
  }
}

void visit_box(Context& ctx, Index A, Index B, Index C, float* visits) {
  parallel_for(ctx, {A, B, C}, [=] KERNEL(Index a, Index b, Index c) {
    visits[(a * B + b) * C + c] += static_cast<float>(100 * a + 10 * b + c);
  });
}

TEST_F(KernelTest, ParallelForVisitsEveryPointOfABoxOnce) {
  const Index boxes[][3] = {{1, 1, 1}, {2, 3, 4}, {0, 3, 4},    {2, 0, 4},
                            {2, 3, 0}, {5, 1, 7}, {96, 55, 55}, {300, 130, 129}};
  for (const auto& [A, B, C] : boxes) {
    Tensor visits;
    visits.reshape({A, B, C});
    visit_box(*ctx, A, B, C, visits.update(*ctx));
    const float* v = visits.read_host();
    for (Index a = 0; a < A; ++a)
      for (Index b = 0; b < B; ++b)
        for (Index c = 0; c < C; ++c)
          ASSERT_EQ(v[(a * B + b) * C + c], static_cast<float>(100 * a + 10 * b + c))
              << a << " " << b << " " << c;
  }
}

void mark_row_ends(Context& ctx, Index A, Index B, Index C, float* ends) {
  parallel_for(ctx, {A, B, C}, [=] KERNEL(Index a, Index b, Index c) {
    if (c == C - 1) ends[a * B + b] += 1;
  });
}

TEST_F(KernelTest, BoxesMayHaveMoreThan32Bits) {
#ifdef DOPPIO_EMULATED_CUDA
  GTEST_SKIP() << "13 billion points take minutes on an emulated GPU";
#endif
  const Index boxes[][3] = {{3, 2, Index{1} << 29}, {2, 3, (Index{1} << 31) + 5}};
  for (const auto& [A, B, C] : boxes) {
    Tensor ends;
    ends.reshape({A, B});
    mark_row_ends(*ctx, A, B, C, ends.update(*ctx));
    EXPECT_EQ(values(ends), std::vector<float>(6, 1.0f));
  }
}

void sum_and_max(Context& ctx, Index rows, Index cols, const float* x, float* sum, float* max) {
  const auto element = [=] KERNEL(Index r, Index c) { return x[r * cols + c]; };
  reduce_rows(ctx, rows, cols, 0, Sum{}, sum, element);
  reduce_rows(ctx, rows, cols, -std::numeric_limits<double>::infinity(), Max{}, max, element);
}

TEST_F(KernelTest, ReduceRowsAgreesWithALoop) {
  const Index shapes[][2] = {{3, 0},      {1, 1},      {1000, 1},   {7, 5},
                             {33, 100},   {5, 4095},   {1, 100003}, {3, 20001},
                             {511, 8193}, {600, 9000}, {70000, 10}};
  for (const auto& [rows, cols] : shapes) {
    Tensor x, sum, max, again;
    x.reshape({rows, cols});
    for (Tensor* t : {&sum, &max, &again}) t->reshape({rows});
    float* v = x.write_host();
    // Integers, whose sums are exact in any order.
    for (Index i = 0; i < rows * cols; ++i) v[i] = static_cast<float>(i * 7919 % 1009 - 500);
    sum_and_max(*ctx, rows, cols, x.read(*ctx), sum.write(*ctx), max.write(*ctx));
    const float* s = sum.read_host();
    const float* m = max.read_host();
    for (Index r = 0; r < rows; ++r) {
      double total = 0, best = -std::numeric_limits<double>::infinity();
      for (Index c = 0; c < cols; ++c) {
        total += v[r * cols + c];
        best = std::max<double>(best, v[r * cols + c]);
      }
      ASSERT_EQ(s[r], static_cast<float>(total)) << rows << " x " << cols << " row " << r;
      ASSERT_EQ(m[r], static_cast<float>(best)) << rows << " x " << cols << " row " << r;
    }
  }
}

void harmonic(Context& ctx, Index n, float* out) {
  reduce_rows(ctx, 1, n, 0, Sum{}, out,
              [=] KERNEL(Index, Index c) { return 1.0 / static_cast<double>(c + 1); });
}

TEST_F(KernelTest, ReduceRowsGivesTheSameBitsEveryTime) {
  Tensor out;
  out.reshape({2});
  for (int i = 0; i < 20; ++i) {
    harmonic(*ctx, 10000019, out.update(*ctx) + i % 2);
    if (i > 0) {
      ASSERT_EQ(values(out)[0], values(out)[1]);
    }
  }
  EXPECT_NEAR(values(out)[0], 16.6953136, 1e-5);
}

TEST_F(KernelTest, GemmAgreesWithALoop) {
  constexpr Index M = 13, N = 7, K = 29;
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      Tensor A, B, C;
      A.reshape({M * K});
      B.reshape({K * N});
      C.reshape({M * N});
      for (Index i = 0; i < M * K; ++i) A.update_host()[i] = static_cast<float>(i % 11 - 5);
      for (Index i = 0; i < K * N; ++i) B.update_host()[i] = static_cast<float>(i % 5 - 2);
      for (Index i = 0; i < M * N; ++i) C.update_host()[i] = static_cast<float>(i);
      gemm(*ctx, ta ? Transpose::yes : Transpose::no, tb ? Transpose::yes : Transpose::no, M, N, K,
           2, A.read(*ctx), B.read(*ctx), 0.5f, C.update(*ctx));
      const float *a = A.read_host(), *b = B.read_host(), *c = C.read_host();
      for (Index m = 0; m < M; ++m)
        for (Index n = 0; n < N; ++n) {
          float sum = 0;
          for (Index k = 0; k < K; ++k)
            sum += a[ta ? k * M + m : m * K + k] * b[tb ? n * K + k : k * N + n];
          ASSERT_EQ(c[m * N + n], 2 * sum + 0.5f * static_cast<float>(m * N + n));
        }
    }
}

TEST_F(KernelTest, GemmWithoutAnInnerDimensionOnlyScalesC) {
  Tensor C;
  C.reshape({2});
  set_values(C, {1, 2});
  for (const Transpose t : {Transpose::no, Transpose::yes})
    gemm(*ctx, t, t, 1, 2, 0, 1, C.read(*ctx), C.read(*ctx), 3, C.update(*ctx));
  EXPECT_EQ(values(C), (std::vector<float>{9, 18}));
}

}  // namespace doppio
