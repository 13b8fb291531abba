#pragma once
// One kernel body for two devices: files that use this header are compiled by g++ for the CPU and,
// in a CUDA build, again by nvcc. Everything here lives in an inline namespace named after the
// device, so the two builds never clash.
#include <algorithm>
#include <cmath>

#include "core/host_device.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

#ifdef __CUDACC__
#include "cuda/launch.cuh"
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

#ifdef __CUDACC__

inline constexpr Device kDevice = Device::cuda;

/// f(i) for every i in 0 .. n-1, in any order, on ctx's stream. `work` only matters on the CPU.
template <class F>
void parallel_for(Context& ctx, Index n, F f, Index /*work*/ = 1) {
  cuda::launch(ctx, n, f);
}

/// f(a, b, c) for every point of the box `extent`; c is innermost.
template <class F>
void parallel_for(Context& ctx, const Index (&extent)[3], F f, Index /*work*/ = 1) {
  cuda::launch(ctx, extent[0], extent[1], extent[2], f);
}

/// out[r] = init combined with f(r, 0) .. f(r, cols-1) in double, for every row; `init` is
/// combine's neutral value.
template <class F, class Combine>
void reduce_rows(Context& ctx, Index rows, Index cols, double init, F f, Combine combine,
                 float* out) {
  cuda::reduce_rows(ctx, rows, cols, init, f, combine, out);
}

#else

inline constexpr Device kDevice = Device::cpu;
inline constexpr Index kSerialBelow =
    16384;  // elements; starting the threads costs more than this much work

/// f(i) for every i in 0 .. n-1, in any order. `work` is about how many elements each call touches:
/// it decides whether starting the threads is worth it.
template <class F>
void parallel_for(Context&, Index n, F f, Index work = 1) {
#pragma omp parallel for simd schedule(static) firstprivate(f) if (parallel \
                                                                   : n * work > kSerialBelow)
  for (Index i = 0; i < n; ++i) f(i);
}

/// f(a, b, c) for every point of the box `extent`; c is innermost and no index is ever divided.
template <class F>
void parallel_for(Context&, const Index (&extent)[3], F f, Index work = 1) {
  const Index A = extent[0], B = extent[1], C = extent[2];
#pragma omp parallel for collapse(2) schedule(static) \
    firstprivate(f) if (A * B * C * work > kSerialBelow)
  for (Index a = 0; a < A; ++a)
    for (Index b = 0; b < B; ++b)
#pragma omp simd
      for (Index c = 0; c < C; ++c) f(a, b, c);
}

/// combine of init and f(r, begin) .. f(r, end-1), in eight interleaved chains: one chain would
/// wait for each addition, and the compiler may not reorder it.
template <class F, class Combine>
double reduce_range(Index r, Index begin, Index end, double init, F f, Combine combine) {
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
/// Long rows are cut into pieces of fixed length, so the result does not depend on the number of
/// threads.
template <class F, class Combine>
void reduce_rows(Context&, Index rows, Index cols, double init, F f, Combine combine, float* out) {
  constexpr Index kPiece = 4096;
  if (rows == 1 && cols > kPiece) {
    const Index pieces = (cols + kPiece - 1) / kPiece;
    std::unique_ptr<double[]> partial(new double[static_cast<std::size_t>(pieces)]);
#pragma omp parallel for schedule(static)
    for (Index p = 0; p < pieces; ++p)
      partial[static_cast<std::size_t>(p)] =
          reduce_range(0, p * kPiece, std::min(cols, (p + 1) * kPiece), init, f, combine);
    double sum = init;
    for (Index p = 0; p < pieces; ++p) sum = combine(sum, partial[static_cast<std::size_t>(p)]);
    out[0] = static_cast<float>(sum);
    return;
  }
#pragma omp parallel for schedule(static) if (rows * cols > kSerialBelow)
  for (Index r = 0; r < rows; ++r)
    out[r] = static_cast<float>(reduce_range(r, 0, cols, init, f, combine));
}

#endif

}  // namespace DOPPIO_BUILD
}  // namespace doppio
