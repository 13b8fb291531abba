#pragma once
// Kernels of the convolution engines of src/cuda: bias, ReLU and their gradients.
#include "core/bf16.hpp"
#include "math/accumulate.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// y[i, o] = y[i, o] + bias[o] + addend[i, o], or 0 if that is negative and `relu`; NHWC.
template <class T>
void add_nhwc(Context& ctx, Index positions, Index outputs, const float* bias, const T* addend,
              bool relu, T* y) {
  parallel_for(ctx, {1, positions, outputs}, [=] KERNEL(Index, Index i, Index o) {
    const Index at = i * outputs + o;
    const float sum = y[at] + (bias ? bias[o] : 0.0f) + (addend ? addend[at] : 0.0f);
    y[at] = T(relu && sum < 0 ? 0.0f : sum);
  });
}

/// The same in NCHW.
inline void add_nchw(Context& ctx, Index images, Index outputs, Index outs, const float* bias,
                     const float* addend, bool relu, float* y) {
  parallel_for(ctx, {images, outputs, outs}, [=] KERNEL(Index n, Index o, Index s) {
    const Index i = (n * outputs + o) * outs + s;
    const float sum = y[i] + (bias ? bias[o] : 0.0f) + (addend ? addend[i] : 0.0f);
    y[i] = relu && sum < 0 ? 0.0f : sum;
  });
}

/// dy = 0 where y is not positive.
template <class T>
void mask_gradient(Context& ctx, Index n, const T* y, T* dy) {
  parallel_for(ctx, n, [=] KERNEL(Index i) {
    if (!(y[i] > 0)) dy[i] = T(0);
  });
}

/// A gradient to sum, masked by the output y of a ReLU: it is 0, and set to 0 in memory, where y is
/// not positive. No mask if y is null.
template <class T>
struct Masked {
  const T* dy;
  const T* y;
  T* masked;  ///< address of dy, if y is not null

  HOST_DEVICE float read(Index i) const {
    return y && !(y[i] > 0) ? 0.0f : static_cast<float>(dy[i]);
  }
  HOST_DEVICE void write(Index i, float d) const {
    if (y) masked[i] = T(d);
  }
};

/// Rows of dy that one thread sums per channel.
inline constexpr Index kRows = 64;
inline Index pieces_of(Index positions) { return (positions + kRows - 1) / kRows; }

/// sums[piece, o] = sum of dy[i, o] over the piece's rows, in NHWC.
template <class T>
void sum_rows(Context& ctx, Index positions, Index outputs, Masked<T> dy, float* sums) {
  parallel_for(ctx, {1, pieces_of(positions), outputs}, [=] KERNEL(Index, Index piece, Index o) {
    constexpr int kAtOnce = 8;  // all loads precede the stores, so that they overlap
    const Index begin = piece * kRows, rest = positions - begin,
                end = begin + (rest < kRows ? rest : kRows);
    float sum = 0;
    for (Index i = begin; i < end; i += kAtOnce) {
      float d[kAtOnce];
      DOPPIO_UNROLL
      for (int r = 0; r < kAtOnce; ++r) d[r] = i + r < end ? dy.read((i + r) * outputs + o) : 0.0f;
      DOPPIO_UNROLL
      for (int r = 0; r < kAtOnce; ++r) {
        if (i + r < end) dy.write((i + r) * outputs + o, d[r]);
        sum += d[r];
      }
    }
    sums[piece * outputs + o] = sum;
  });
}

/// sums[n, o] = sum of dy[n, o, s] over s, in NCHW.
inline void sum_maps(Context& ctx, Index images, Index outputs, Index outs, Masked<float> dy,
                     float* sums) {
  reduce_rows(ctx, images * outputs, outs, 0.0, Sum{}, sums, [=] KERNEL(Index row, Index s) {
    const Index i = row * outs + s;
    const float d = dy.read(i);
    dy.write(i, d);
    return d;
  });
}

/// dbias[o] = beta * dbias[o] + sum over the pieces of sums[piece, o]. `sums` has room for
/// `outputs` more values.
inline void add_sums(Context& ctx, Index pieces, Index outputs, float* sums, const AddTo& dbias) {
  float *const to = dbias.values, *const more = sums + pieces * outputs;
  reduce_rows(ctx, outputs, pieces, 0.0, Sum{}, dbias.beta == 0 ? to : more,
              [=] KERNEL(Index o, Index piece) { return sums[piece * outputs + o]; });
  if (dbias.beta != 0) parallel_for(ctx, outputs, [=] KERNEL(Index o) { to[o] += more[o]; });
}

/// dweight[o, c, k] = beta * dweight[o, c, k] + last[o, k, c].
template <class T>
void add_weight_gradient(Context& ctx, Index outputs, Index channels, Index pixels, const T* last,
                         const AddTo& dweight) {
  parallel_for(
      ctx, {outputs, channels, pixels},
      [=, sums = dweight.values, first = dweight.beta == 0] KERNEL(Index o, Index c, Index k) {
    float& sum = sums[(o * channels + c) * pixels + k];
    sum = (first ? 0.0f : sum) + last[(o * pixels + k) * channels + c];
      });
}

inline void round_to_bf16(Context& ctx, Index n, const float* from, Bf16* to) {
  parallel_for(ctx, n, [=] KERNEL(Index i) { to[i] = Bf16(from[i]); });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
