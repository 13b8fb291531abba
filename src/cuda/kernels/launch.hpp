#pragma once
// Implements parallel_for and reduce_rows of math/kernel.hpp on CUDA devices.
#include <algorithm>
#include <type_traits>

#include "cuda/check.hpp"
#include "cuda/kernels/divider.hpp"
#include "doppio/context.hpp"

#ifndef __CUDACC__
#include "emulated_cuda/launch.hpp"
#endif

namespace doppio::cuda {

constexpr int kThreads = 256;          // per block
constexpr Index kMaxBlocks = 1 << 14;  // fills any GPU several times over; beyond, threads loop

inline unsigned blocks_for(Index threads) {
  return static_cast<unsigned>(std::min((threads + kThreads - 1) / kThreads, kMaxBlocks));
}

inline cudaStream_t stream_of(const Context& ctx) {
  return static_cast<cudaStream_t>(ctx.stream());
}

/// Dimensions of a launch, and whether its threads call __syncthreads().
struct Grid {
  dim3 blocks, threads = kThreads;
  bool barriers = false;
};

template <class... Parameters>
void start(cudaStream_t stream, const Grid& grid, void (*kernel)(Parameters...),
           const std::type_identity_t<Parameters>&... arguments) {
#ifdef __CUDACC__
  kernel<<<grid.blocks, grid.threads, 0, stream>>>(arguments...);
  check(cudaGetLastError(), "launching a kernel");
#else
  emulated::start(stream, grid.blocks, grid.threads, grid.barriers, kernel, arguments...);
#endif
}

constexpr Index kMaxCount = 1 << 30;  // of one launch: 32-bit indices are faster on GPUs

// At least 2 blocks per multiprocessor: by default, ptxas spills registers to fit more.
template <class F>
__global__ void __launch_bounds__(kThreads, 2) flat_kernel(Index first, std::uint32_t count, F f) {
  const std::uint32_t step = gridDim.x * kThreads;
  for (std::uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < count; i += step) f(first + i);
}

/// Calls f(i) for every i in 0 .. n-1.
template <class F>
void launch(cudaStream_t stream, Index n, F f) {
  for (Index first = 0; first < n; first += kMaxCount) {
    const Index count = std::min(kMaxCount, n - first);
    start(stream, {blocks_for(count)}, flat_kernel<F>, first, static_cast<std::uint32_t>(count), f);
  }
}

/// A part of a 3-D index space that 32-bit arithmetic can enumerate.
struct Piece {
  Index a, b, c;  ///< its first index
  std::uint32_t count;
  Divider B, C;  ///< its extents; that of the outermost axis is count / B / C
};

template <class F>
__global__ void __launch_bounds__(kThreads, 2) box_kernel(Piece piece, F f) {
  const std::uint32_t step = gridDim.x * kThreads;
  for (std::uint32_t i = blockIdx.x * kThreads + threadIdx.x; i < piece.count; i += step) {
    const std::uint32_t row = piece.C.quotient(i), c = i - row * piece.C.divisor();
    const std::uint32_t a = piece.B.quotient(row), b = row - a * piece.B.divisor();
    f(piece.a + a, piece.b + b, piece.c + c);
  }
}

/// Calls f(a, b, c) for all indices below A, B, C; adjacent threads differ in c.
template <class F>
void launch(cudaStream_t stream, Index A, Index B, Index C, F f) {
  if (A == 0 || B == 0 || C == 0) return;
  // Nearly always this is one piece.
  const Index c_step = std::min(C, kMaxCount), b_step = std::min(B, kMaxCount / c_step),
              a_step = std::min(A, kMaxCount / (c_step * b_step));
  for (Index a = 0; a < A; a += a_step)
    for (Index b = 0; b < B; b += b_step)
      for (Index c = 0; c < C; c += c_step) {
        const auto extent = [](Index step, Index left) {
          return static_cast<std::uint32_t>(std::min(step, left));
        };
        const std::uint32_t an = extent(a_step, A - a), bn = extent(b_step, B - b),
                            cn = extent(c_step, C - c);
        const Piece piece{a, b, c, an * bn * cn, Divider(bn), Divider(cn)};
        start(stream, {blocks_for(piece.count)}, box_kernel<F>, piece, f);
      }
}

/// Each threadIdx.y reduces one of `pieces` pieces of a row, with blockDim.x threads (a power of
/// two) and then a tree over them: the order of operations is fixed.
template <class F, class Combine>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(Index rows, Index cols, Index pieces, double init, Combine combine, double* partial,
                float* out, F f) {
  __shared__ double tree[kThreads];
  const Index id = Index{blockIdx.x} * blockDim.y + threadIdx.y;
  const Index row = pieces == 1 ? id : id / pieces;
  const Index length = (cols + pieces - 1) / pieces, begin = (id - row * pieces) * length;
  const Index end = std::min(cols, begin + length);
  double sum = init;
  if (row < rows)
    for (Index c = begin + threadIdx.x; c < end; c += blockDim.x) sum = combine(sum, f(row, c));

  double* mine = tree + threadIdx.y * blockDim.x + threadIdx.x;
  *mine = sum;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) *mine = combine(mine[0], mine[half]);
  }
  if (threadIdx.x > 0 || row >= rows) return;
  if (partial)
    partial[id] = *mine;
  else
    out[row] = static_cast<float>(*mine);
}

template <class F, class Combine>
void launch_rows(Context& ctx, Index rows, Index cols, Index pieces, double init, Combine combine,
                 double* partial, float* out, F f) {
  unsigned lanes = 1;  // threads per piece: up to 8 columns each while a block is not full
  while (lanes < kThreads && lanes * 8 < cols / pieces) lanes *= 2;
  const unsigned per_block = kThreads / lanes;
  const auto blocks = static_cast<unsigned>((rows * pieces + per_block - 1) / per_block);
  start(stream_of(ctx), {.blocks = blocks, .threads = {lanes, per_block}, .barriers = lanes > 1},
        rows_kernel<F, Combine>, rows, cols, pieces, init, combine, partial, out, f);
}

/// Input of the second stage: the first stage's result for each piece.
struct Partials {
  const double* values;
  Index pieces;
  HOST_DEVICE double operator()(Index row, Index piece) const {
    return values[row * pieces + piece];
  }
};

/// out[r] = combine over all c of f(r, c), in double. If rows are few and long, they are split to
/// fill the device, depending only on rows and cols.
template <class F, class Combine>
void reduce_rows(Context& ctx, Index rows, Index cols, double init, Combine combine, float* out,
                 F f) {
  if (rows == 0) return;
  constexpr Index kPiece = 4096, kManyRows = 512;
  const Index pieces = rows < kManyRows ? std::max<Index>(cols / kPiece, 1) : 1;
  if (pieces == 1) {
    launch_rows(ctx, rows, cols, 1, init, combine, nullptr, out, f);
  } else {
    double* partial = ctx.partial_sums(rows * pieces);
    launch_rows(ctx, rows, cols, pieces, init, combine, partial, nullptr, f);
    launch_rows(ctx, rows, pieces, 1, init, combine, nullptr, out, Partials{partial, pieces});
  }
}

}  // namespace doppio::cuda
