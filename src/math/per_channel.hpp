#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A blob seen as N x C x S: C is what has a parameter each, S what lies within a channel.
struct Channels {
  Index N = 1, C = 1, S = 1;
};

/// f(c, i) for every element; c is the channel of element i.
template <class F>
void for_each_in_channels(Context& ctx, const Channels& extent, F f) {
  const Index N = extent.N, C = extent.C, S = extent.S;
  if (S == 1)
    parallel_for(ctx, {1, N, C}, [=] KERNEL(Index, Index n, Index c) { f(c, n * C + c); });
  else
    parallel_for(ctx, {N, C, S},
                 [=] KERNEL(Index n, Index c, Index s) { f(c, (n * C + c) * S + s); });
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
  if (N == 1 || S == 1) {
    const Index step = N == 1 ? 1 : C, row_step = N == 1 ? S : 1;
    reduce_rows(
        ctx, C, N * S, 0, [=] KERNEL(Index c, Index k) { return f(c, c * row_step + k * step); },
        Sum{}, result);
  } else {
    reduce_rows(
        ctx, N * C, S, 0, [=] KERNEL(Index p, Index s) { return f(p % C, p * S + s); }, Sum{},
        planes);
    reduce_rows(
        ctx, C, N, 0, [=] KERNEL(Index c, Index n) { return planes[n * C + c]; }, Sum{}, result);
  }
  if (add) parallel_for(ctx, C, [=] KERNEL(Index c) { out[c] += sums[c]; });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
