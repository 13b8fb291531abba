#include "cuda/kernels/layout_kernels.hpp"

#include <algorithm>

#include "core/bf16.hpp"
#include "cuda/kernels/launch.hpp"

namespace doppio::cuda {

namespace {

constexpr unsigned kSide = 32, kRows = kThreads / kSide;

/// The matrices of a batch in tiles of kSide x kSide values. A block transposes one tile through
/// shared memory, so that reads and writes are coalesced.
struct Squares {
  Index rows, columns;
  unsigned across, down;  ///< tiles of a matrix

  Squares(Index rows_, Index columns_)
      : rows(rows_),
        columns(columns_),
        across(static_cast<unsigned>((columns + kSide - 1) / kSide)),
        down(static_cast<unsigned>((rows + kSide - 1) / kSide)) {}
};

/// to[n, column, row] = from[n, row, column].
template <class From, class To>
__global__ void __launch_bounds__(kThreads)
    transpose_kernel(Squares squares, const From* from, To* to) {
  __shared__ float square[kSide][kSide + 1];  // padded to avoid bank conflicts
  const unsigned in_matrix = squares.across * squares.down, matrix = blockIdx.x / in_matrix,
                 place = blockIdx.x % in_matrix, down = place / squares.across;
  const Index first = matrix * squares.rows * squares.columns;
  const Index top = down * kSide, left = (place - down * squares.across) * kSide;
  for (unsigned k = threadIdx.y; k < kSide; k += kRows) {
    const Index row = top + k, column = left + threadIdx.x;
    if (row < squares.rows && column < squares.columns)
      square[k][threadIdx.x] = from[first + row * squares.columns + column];
  }
  __syncthreads();
  for (unsigned k = threadIdx.y; k < kSide; k += kRows) {
    const Index row = top + threadIdx.x, column = left + k;
    if (row < squares.rows && column < squares.columns)
      to[first + column * squares.rows + row] = static_cast<To>(square[threadIdx.x][k]);
  }
}

__global__ void store_kernel(std::uint64_t value, std::uint64_t* to) { *to = value; }

/// As transpose_kernel for matrices with few rows or columns, such as images: each thread
/// transposes all values of the short side.
template <class From, class To>
void transpose_thin(cudaStream_t stream, Index count, Index rows, Index columns, const From* from,
                    To* to) {
  const Index thin = std::min(rows, columns), row_step = rows == thin ? columns : 1,
              column_step = rows == thin ? 1 : rows;
  launch(stream, 1, count, std::max(rows, columns), [=] KERNEL(Index, Index n, Index i) {
    const Index matrix = n * rows * columns;
    const From* in = from + matrix + i * (rows == thin ? 1 : columns);
    To* out = to + matrix + i * (rows == thin ? rows : 1);
    for (Index k = 0; k < thin; ++k)
      out[k * column_step] = static_cast<To>(static_cast<float>(in[k * row_step]));
  });
}

template <class From, class To>
void transpose(cudaStream_t stream, Index count, Index rows, Index columns, const From* from,
               To* to) {
  constexpr Index kThin = 4;
  if (count * rows * columns == 0) return;
  if (rows <= kThin || columns <= kThin)
    return transpose_thin(stream, count, rows, columns, from, to);
  const Squares squares(rows, columns);
  const auto blocks = static_cast<unsigned>(count * squares.across * squares.down);
  start(stream, {.blocks = blocks, .threads = {kSide, kRows}, .barriers = true},
        transpose_kernel<From, To>, squares, from, to);
}

}  // namespace

void CudaLayoutKernels::nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw,
                                     float* nhwc) {
  transpose(static_cast<cudaStream_t>(stream), dims.images, dims.channels, dims.pixels, nchw, nhwc);
}

void CudaLayoutKernels::nchw_to_nhwc(void* stream, const TensorDims& dims, const float* nchw,
                                     Bf16* nhwc) {
  transpose(static_cast<cudaStream_t>(stream), dims.images, dims.channels, dims.pixels, nchw, nhwc);
}

void CudaLayoutKernels::nhwc_to_nchw(void* stream, const TensorDims& dims, const float* nhwc,
                                     float* nchw) {
  transpose(static_cast<cudaStream_t>(stream), dims.images, dims.pixels, dims.channels, nhwc, nchw);
}

void CudaLayoutKernels::nhwc_to_nchw(void* stream, const TensorDims& dims, const Bf16* nhwc,
                                     float* nchw) {
  transpose(static_cast<cudaStream_t>(stream), dims.images, dims.pixels, dims.channels, nhwc, nchw);
}

void CudaLayoutKernels::convert(void* stream, Index count, const float* from, Bf16* to) {
  launch(static_cast<cudaStream_t>(stream), count,
         [from, to] KERNEL(Index i) { to[i] = Bf16(from[i]); });
}

void CudaLayoutKernels::convert(void* stream, Index count, const Bf16* from, float* to) {
  launch(static_cast<cudaStream_t>(stream), count, [from, to] KERNEL(Index i) { to[i] = from[i]; });
}

void store(cudaStream_t stream, std::uint64_t value, std::uint64_t* to) {
  start(stream, {.blocks = 1, .threads = 1}, store_kernel, value, to);
}

}  // namespace doppio::cuda
