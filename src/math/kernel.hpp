#pragma once
// One kernel body for two devices: files that use this header are compiled by g++ for the CPU and,
// in a CUDA build, again by nvcc. Everything here lives in an inline namespace named after the
// device, so the two builds never clash.
#include <algorithm>
#include <cmath>

#include "core/host_device.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

#ifdef DOPPIO_FOR_CUDA
#include "cuda/kernels/launch.hpp"
#else
#include <omp.h>

#include <vector>

#include "math/full_width.hpp"
#endif

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Associative operations for reduce_rows.
struct Sum {
  HOST_DEVICE double operator()(double a, double b) const { return a + b; }
};
struct Max {
  HOST_DEVICE double operator()(double a, double b) const { return a < b ? b : a; }
};

#ifdef DOPPIO_FOR_CUDA

inline constexpr Device kDevice = Device::cuda;

/// Calls f(i) for every i in 0 .. n-1, in any order, on ctx's stream. `cost` is for the CPU only.
template <class F>
void parallel_for(Context& ctx, Index n, Index /*cost*/, F f) {
  cuda::launch(cuda::stream_of(ctx), n, f);
}

/// Calls f(a, b, c) for all indices below `extent`; c is innermost.
template <class F>
void parallel_for(Context& ctx, const Index (&extent)[3], Index /*cost*/, F f) {
  cuda::launch(cuda::stream_of(ctx), extent[0], extent[1], extent[2], f);
}

/// Calls f(i, 0) for every i in 0 .. n-1, one after another.
inline Index num_threads_for(Index) { return 1; }
template <class F>
void parallel_for_chunks(Index n, F f) {
  for (Index i = 0; i < n; ++i) f(i, 0);
}

/// out[r] = init combined with f(r, 0) .. f(r, cols-1) in double, for every row; `init` is
/// combine's neutral value.
template <class F, class Combine>
void reduce_rows(Context& ctx, Index rows, Index cols, double init, Combine combine, float* out,
                 F f) {
  cuda::reduce_rows(ctx, rows, cols, init, combine, out, f);
}

#else

inline constexpr Device kDevice = Device::cpu;
inline constexpr Index kSerialBelow =
    16384;  // elements; below, starting threads costs more than it saves

/// Iterations begin .. end-1 of a loop.
struct Range {
  Index begin, end;
};

/// Returns this thread's part of n iterations, in whole blocks of `block`: then which iterations
/// share a vector register, and so the last bit of results, does not depend on the number of
/// threads.
inline Range range_of_thread(Index n, Index block) {
  const Index thread = omp_get_thread_num(), threads = omp_get_num_threads();
  const Index blocks = (n + block - 1) / block;
  return {std::min(n, blocks * thread / threads * block),
          std::min(n, blocks * (thread + 1) / threads * block)};
}

/// Calls f(i) for every i in 0 .. n-1, in any order. `cost` is roughly the number of elements that
/// each call touches: it decides whether to use several threads.
template <class F>
void parallel_for(Context&, Index n, Index cost, F f) {
#pragma omp parallel if (n * cost > kSerialBelow)
  {
    const Range mine = range_of_thread(n, cost == 1 ? 64 : 1);
    at_full_width([=] {
#pragma omp simd
      for (Index i = mine.begin; i < mine.end; ++i) f(i);
    });
  }
}

/// Calls f(a, b, c) for all indices below `extent`; c is innermost. Inner loops do not divide.
template <class F>
void parallel_for(Context&, const Index (&extent)[3], Index cost, F f) {
  const Index A = extent[0], B = extent[1], C = extent[2];
  if (A * B * C == 0) return;
#pragma omp parallel if (A * B * C * cost > kSerialBelow)
  {
    const Range mine = range_of_thread(A * B, 1);
    at_full_width([=] {
      Index a = mine.begin / B, b = mine.begin % B;
      for (Index row = mine.begin; row < mine.end; ++row) {
#pragma omp simd
        for (Index c = 0; c < C; ++c) f(a, b, c);
        if (++b == B) {
          b = 0;
          ++a;
        }
      }
    });
  }
}

/// Number of threads of parallel_for_chunks() for n iterations: all, or one if n is less.
inline Index num_threads_for(Index n) {
  const Index all = omp_get_max_threads();
  return n < all ? 1 : all;
}

/// Calls f(i, thread) for every i in 0 .. n-1, each on one of the threads 0 ..
/// num_threads_for(n)-1, so that data which f reuses stays in that core's cache. If there is one
/// thread, loops in f can use all threads.
template <class F>
void parallel_for_chunks(Index n, F f) {
#pragma omp parallel if (num_threads_for(n) > 1)
  {
    const Range mine = range_of_thread(n, 1);
    for (Index i = mine.begin; i < mine.end; ++i) f(i, omp_get_thread_num());
  }
}

/// Combines init and f(r, begin) .. f(r, end-1) in eight interleaved chains: a single chain would
/// wait for each addition, because the compiler may not reorder them.
template <class F, class Combine>
double reduce_range(Index r, Index begin, Index end, double init, Combine combine, F f) {
  constexpr Index kLanes = 8;
  double lane[kLanes];
  for (double& value : lane) value = init;
  Index c = begin;
  for (; c + kLanes <= end; c += kLanes)
    for (Index k = 0; k < kLanes; ++k) lane[k] = combine(lane[k], f(r, c + k));
  for (Index k = 0; c < end; ++k, ++c) lane[k] = combine(lane[k], f(r, c));
  double result = init;
  for (const double value : lane) result = combine(result, value);
  return result;
}

/// out[r] = init combined with f(r, 0) .. f(r, cols-1) in double, for every row; `init` is
/// combine's neutral value.
///
/// A long row is split into chunks of fixed length, so the result does not depend on the number of
/// threads.
template <class F, class Combine>
void reduce_rows(Context&, Index rows, Index cols, double init, Combine combine, float* out, F f) {
  constexpr Index kPiece = 4096;
  const bool cut = rows == 1 && cols > kPiece;
  const Index pieces = cut ? (cols + kPiece - 1) / kPiece : 1;
  std::vector<double> partial(static_cast<std::size_t>(cut ? pieces : 0));
  double* sums = partial.data();
#pragma omp parallel if (rows * cols > kSerialBelow)
  {
    const Range mine = range_of_thread(cut ? pieces : rows, 1);
    at_full_width([=] {
      for (Index i = mine.begin; i < mine.end; ++i)
        if (cut)
          sums[i] = reduce_range(0, i * kPiece, std::min(cols, (i + 1) * kPiece), init, combine, f);
        else
          out[i] = static_cast<float>(reduce_range(i, 0, cols, init, combine, f));
    });
  }
  if (!cut) return;
  double sum = init;
  for (const double piece : partial) sum = combine(sum, piece);
  out[0] = static_cast<float>(sum);
}

#endif

// Overloads for a cost of 1.
template <class F>
void parallel_for(Context& ctx, Index n, F f) {
  parallel_for(ctx, n, 1, f);
}
template <class F>
void parallel_for(Context& ctx, const Index (&extent)[3], F f) {
  parallel_for(ctx, extent, 1, f);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
