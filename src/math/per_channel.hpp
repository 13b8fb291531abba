#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A blob viewed as N x C x S: C channels with S values each per item.
///
/// Layout::nchw_blocked is for the CPU only, Layout::nhwc for accelerators.
struct Channels {
  Index N = 1, C = 1, S = 1;
  Layout layout = Layout::nchw;
};

/// Calls f(c + b, i + b) for the B channels of a block, at one pixel.
template <Index B, class F>
void for_each_in_block(Index c, Index i, F f) {
#ifndef DOPPIO_FOR_CUDA  // which is built without OpenMP
#pragma omp simd
#endif
  for (Index b = 0; b < B; ++b) f(c + b, i + b);
}

template <Index B, class F>
void for_each_in_blocks(Context& ctx, const Channels& extent, F f) {
  const Index S = extent.S, blocks = extent.C / B;
  parallel_for(ctx, {1, extent.N * blocks, 1}, S * B, [=](Index, Index plane, Index) {
    const Index c = plane % blocks * B;
    for (Index s = 0; s < S; ++s) for_each_in_block<B>(c, (plane * S + s) * B, f);
  });
}

template <Index B, class F>
void sum_blocks(Context& ctx, const Channels& extent, float* planes, F f) {
  constexpr Index kChains = 4;  // a single chain would wait for each addition
  const Index S = extent.S, blocks = extent.C / B;
  parallel_for(ctx, {1, extent.N * blocks, 1}, S * B, [=](Index, Index plane, Index) {
    double sums[kChains][B] = {};
    const Index c = plane % blocks * B, begin = plane * S * B;
    const auto add = [&](Index chain, Index s) {
      double* sum = sums[chain];
      for_each_in_block<B>(0, begin + s * B, [=](Index b, Index i) { sum[b] += f(c + b, i); });
    };
    Index s = 0;
    for (; s + kChains <= S; s += kChains)
      for (Index chain = 0; chain < kChains; ++chain) add(chain, s + chain);
    for (; s < S; ++s) add(0, s);
    for (Index b = 0; b < B; ++b)
      planes[plane * B + b] = static_cast<float>(sums[0][b] + sums[1][b] + sums[2][b] + sums[3][b]);
  });
}

/// Calls f(c, i) for every element i, with its channel c.
template <class F>
void for_each_in_channels(Context& ctx, const Channels& extent, F f) {
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::nchw_blocked)
      return channel_block() == 16 ? for_each_in_blocks<16>(ctx, extent, f)
                                   : for_each_in_blocks<8>(ctx, extent, f);
  const Index N = extent.N, C = extent.C, S = extent.S;
  if (S == 1 || extent.layout == Layout::nhwc)
    parallel_for(ctx, {1, N * S, C}, [=] KERNEL(Index, Index n, Index c) { f(c, n * C + c); });
  else
    parallel_for(ctx, {N, C, S},
                 [=] KERNEL(Index n, Index c, Index s) { f(c, (n * C + c) * S + s); });
}

/// planes[n * C + c] = sum of f(c, i) over the elements i of channel c of item n.
template <class F>
void sum_planes(Context& ctx, const Channels& extent, float* planes, F f) {
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::nchw_blocked)
      return channel_block() == 16 ? sum_blocks<16>(ctx, extent, planes, f)
                                   : sum_blocks<8>(ctx, extent, planes, f);
  const Index C = extent.C, S = extent.S;
  reduce_rows(ctx, extent.N * C, S, 0, Sum{}, planes,
              [=] KERNEL(Index p, Index s) { return f(p % C, p * S + s); });
}

/// Pixels of a channel that one thread sums.
constexpr Index kPixels = 64;
inline Index pieces_of(const Channels& extent) {
  return (extent.N * extent.S + kPixels - 1) / kPixels;
}

/// sums[piece * C + c] = sum of f(c, i) over up to kPixels elements i of channel c, in NHWC:
/// adjacent threads read adjacent channels (coalesced).
template <class F>
void sum_pieces(Context& ctx, const Channels& extent, float* sums, F f) {
  const Index C = extent.C, pixels = extent.N * extent.S;
  parallel_for(ctx, {1, pieces_of(extent), C}, kPixels, [=] KERNEL(Index, Index piece, Index c) {
    const Index begin = piece * kPixels, rest = pixels - begin;
    const Index end = begin + (rest < kPixels ? rest : kPixels);
    double sum = 0;
    for (Index s = begin; s < end; ++s) sum += f(c, s * C + c);
    sums[piece * C + c] = static_cast<float>(sum);
  });
}

/// out[c] = sum of f(c, i) over the elements i of channel c; added to out[c] if `add`.
///
/// Uses ctx's workspace.
template <class F>
void sum_per_channel(Context& ctx, const Channels& extent, bool add, float* out, F f) {
  const Index N = extent.N, C = extent.C, S = extent.S;
  const bool last = extent.layout == Layout::nhwc;
  const Index parts = last ? pieces_of(extent) : N;
  float* sums = ctx.workspace(parts * C + C);
  float* planes = sums + C;
  float* result = add ? sums : out;
  if (extent.layout == Layout::nchw && (N == 1 || S == 1)) {
    const Index step = N == 1 ? 1 : C, row_step = N == 1 ? S : 1;
    reduce_rows(ctx, C, N * S, 0, Sum{}, result,
                [=] KERNEL(Index c, Index k) { return f(c, c * row_step + k * step); });
  } else {
    if (last)
      sum_pieces(ctx, extent, planes, f);
    else
      sum_planes(ctx, extent, planes, f);
    reduce_rows(ctx, C, parts, 0, Sum{}, result,
                [=] KERNEL(Index c, Index n) { return planes[n * C + c]; });
  }
  if (add) parallel_for(ctx, C, [=] KERNEL(Index c) { out[c] += sums[c]; });
}
template <class F>
void sum_per_channel(Context& ctx, const Channels& extent, float* out, F f) {
  sum_per_channel(ctx, extent, false, out, f);
}

/// Calls take(c, sum of f(c, i), sum of g(c, i)), in double, for every channel: two sums in one
/// pass.
template <Index B, class F, class G, class Take>
void sum_both_in_blocks(Context& ctx, const Channels& extent, F f, G g, Take take) {
  constexpr Index kChains = 2;
  const Index N = extent.N, C = extent.C, S = extent.S, blocks = C / B;
  double* planes = ctx.workspace<double>(2 * N * C);
  parallel_for(ctx, {1, N * blocks, 1}, S * B, [=](Index, Index plane, Index) {
    double f_sums[kChains][B] = {}, g_sums[kChains][B] = {};
    const Index c = plane % blocks * B, begin = plane * S * B;
    const auto add = [&](Index chain, Index s) {
      double *f_sum = f_sums[chain], *g_sum = g_sums[chain];
      for_each_in_block<B>(0, begin + s * B, [=](Index b, Index i) {
        f_sum[b] += f(c + b, i);
        g_sum[b] += g(c + b, i);
      });
    };
    Index s = 0;
    for (; s + kChains <= S; s += kChains)
      for (Index chain = 0; chain < kChains; ++chain) add(chain, s + chain);
    for (; s < S; ++s) add(0, s);
    for (Index b = 0; b < B; ++b) {
      planes[2 * (plane * B + b)] = f_sums[0][b] + f_sums[1][b];
      planes[2 * (plane * B + b) + 1] = g_sums[0][b] + g_sums[1][b];
    }
  });
  parallel_for(ctx, {1, C, 1}, N, [=](Index, Index c, Index) {
    double f_sum = 0, g_sum = 0;
    for (Index n = 0; n < N; ++n) {
      f_sum += planes[2 * (n * C + c)];
      g_sum += planes[2 * (n * C + c) + 1];
    }
    take(c, f_sum, g_sum);
  });
}

template <class F, class G, class Take>
void sum_both_in_blocks(Context& ctx, const Channels& extent, F f, G g, Take take) {
  channel_block() == 16 ? sum_both_in_blocks<16>(ctx, extent, f, g, take)
                        : sum_both_in_blocks<8>(ctx, extent, f, g, take);
}

/// f_out[c] = sum of f(c, i) and g_out[c] = sum of g(c, i); one pass computes both in the blocked
/// layout.
///
/// Uses ctx's workspace.
template <class F, class G>
void sum_both_per_channel(Context& ctx, const Channels& extent, float* f_out, float* g_out, F f,
                          G g) {
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::nchw_blocked)
      return sum_both_in_blocks(ctx, extent, f, g, [=](Index c, double f_sum, double g_sum) {
        f_out[c] = static_cast<float>(f_sum);
        g_out[c] = static_cast<float>(g_sum);
      });
  sum_per_channel(ctx, extent, f_out, f);
  sum_per_channel(ctx, extent, g_out, g);
}

/// Computes the mean and the biased variance of x[i] per channel.
///
/// Uses ctx's workspace.
inline void moments_per_channel(Context& ctx, const Channels& extent, const float* x, float* mean,
                                float* variance) {
  const double share = 1.0 / static_cast<double>(extent.N * extent.S);
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::nchw_blocked)
      return sum_both_in_blocks(
          ctx, extent, [=](Index, Index i) { return static_cast<double>(x[i]); },
          // Squares of floats are exact in double, so the difference below adds no error beyond the
          // rounding of x.
          [=](Index, Index i) { return static_cast<double>(x[i]) * x[i]; },
          [=](Index c, double sum, double squares) {
        mean[c] = static_cast<float>(share * sum);
        variance[c] = static_cast<float>(std::max(0.0, share * (squares - share * sum * sum)));
          });
  sum_per_channel(ctx, extent, mean, [=] KERNEL(Index, Index i) { return share * x[i]; });
  // Sum the squared differences: a float sum of squares would lose small variances of large values.
  sum_per_channel(ctx, extent, variance, [=] KERNEL(Index c, Index i) {
    const double d = static_cast<double>(x[i]) - mean[c];
    return share * d * d;
  });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
