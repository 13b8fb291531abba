#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A blob seen as N x C x S: C is what has a parameter each, S what lies within a channel.
///
/// `layout` tells how its values lie; blocked is for the CPU.
struct Channels {
  Index N = 1, C = 1, S = 1;
  Layout layout = Layout::plain;
};

/// f(c, i) for the values i of a block of B channels, c .. c + B - 1, at one pixel.
template <Index B, class F>
void for_each_in_block(Index c, Index i, F f) {
#ifndef __CUDACC__  // whose host compiler runs without OpenMP
#pragma omp simd
#endif
  for (Index b = 0; b < B; ++b) f(c + b, i + b);
}

template <Index B, class F>
void for_each_in_blocks(Context& ctx, const Channels& extent, F f) {
  const Index S = extent.S, blocks = extent.C / B;
  parallel_for(
      ctx, {1, extent.N * blocks, 1},
      [=](Index, Index plane, Index) {
    const Index c = plane % blocks * B;
    for (Index s = 0; s < S; ++s) for_each_in_block<B>(c, (plane * S + s) * B, f);
      },
      S * B);
}

template <Index B, class F>
void sum_blocks(Context& ctx, const Channels& extent, F f, float* planes) {
  constexpr Index kChains = 4;  // one would wait for each addition
  const Index S = extent.S, blocks = extent.C / B;
  parallel_for(
      ctx, {1, extent.N * blocks, 1},
      [=](Index, Index plane, Index) {
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
      },
      S * B);
}

/// f(c, i) for every element; c is the channel of element i.
template <class F>
void for_each_in_channels(Context& ctx, const Channels& extent, F f) {
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::blocked)
      return channel_block() == 16 ? for_each_in_blocks<16>(ctx, extent, f)
                                   : for_each_in_blocks<8>(ctx, extent, f);
  const Index N = extent.N, C = extent.C, S = extent.S;
  if (S == 1)
    parallel_for(ctx, {1, N, C}, [=] KERNEL(Index, Index n, Index c) { f(c, n * C + c); });
  else
    parallel_for(ctx, {N, C, S},
                 [=] KERNEL(Index n, Index c, Index s) { f(c, (n * C + c) * S + s); });
}

/// planes[n * C + c] = sum of f(c, i) over the elements i of channel c of item n.
template <class F>
void sum_planes(Context& ctx, const Channels& extent, F f, float* planes) {
  if constexpr (kDevice == Device::cpu)
    if (extent.layout == Layout::blocked)
      return channel_block() == 16 ? sum_blocks<16>(ctx, extent, f, planes)
                                   : sum_blocks<8>(ctx, extent, f, planes);
  const Index C = extent.C, S = extent.S;
  reduce_rows(
      ctx, extent.N * C, S, 0, [=] KERNEL(Index p, Index s) { return f(p % C, p * S + s); }, Sum{},
      planes);
}

/// out[c] = sum of f(c, i) over the elements i of channel c, or that added to out[c].
///
/// Uses ctx's workspace.
template <class F>
void sum_per_channel(Context& ctx, const Channels& extent, F f, float* out, bool add = false) {
  const Index N = extent.N, C = extent.C, S = extent.S;
  float* sums = ctx.workspace(N * C + C);
  float* planes = sums + C;
  float* result = add ? sums : out;
  if (extent.layout == Layout::plain && (N == 1 || S == 1)) {
    const Index step = N == 1 ? 1 : C, row_step = N == 1 ? S : 1;
    reduce_rows(
        ctx, C, N * S, 0, [=] KERNEL(Index c, Index k) { return f(c, c * row_step + k * step); },
        Sum{}, result);
  } else {
    sum_planes(ctx, extent, f, planes);
    reduce_rows(
        ctx, C, N, 0, [=] KERNEL(Index c, Index n) { return planes[n * C + c]; }, Sum{}, result);
  }
  if (add) parallel_for(ctx, C, [=] KERNEL(Index c) { out[c] += sums[c]; });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
