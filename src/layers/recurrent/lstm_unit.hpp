#pragma once
#include "math/exp.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

HOST_DEVICE inline float logistic(float x) { return 1 / (1 + fast_exp(-x)); }

/// One step of B streams of an LSTM with H cells: c = cont sigmoid(f) c_prev + sigmoid(i) tanh(g),
/// h = sigmoid(o) tanh(c).
///
/// `gates` holds i, f, o and g before their nonlinearities, H of each per stream; `cont` is 0 where
/// a new sequence begins, else 1.
inline void lstm_step(Context& ctx, Index B, Index H, const float* cont, const float* gates,
                      const float* c_prev, float* c, float* h) {
  parallel_for(ctx, {1, B, H}, [=] KERNEL(Index, Index b, Index k) {
    const float* gate = gates + b * 4 * H + k;
    const Index at = b * H + k;
    const float kept = cont[b] == 0 ? 0 : cont[b] * logistic(gate[H]) * c_prev[at];
    c[at] = kept + logistic(gate[0]) * fast_tanh(gate[3 * H]);
    h[at] = logistic(gate[2 * H]) * fast_tanh(c[at]);
  });
}

/// The gradients of lstm_step: from dc and dh to dgates and dc_prev, which may be dc itself.
inline void lstm_step_backward(Context& ctx, Index B, Index H, const float* cont,
                               const float* gates, const float* c_prev, const float* c,
                               const float* dc, const float* dh, float* dgates, float* dc_prev) {
  parallel_for(ctx, {1, B, H}, [=] KERNEL(Index, Index b, Index k) {
    const float* gate = gates + b * 4 * H + k;
    float* dgate = dgates + b * 4 * H + k;
    const Index at = b * H + k;
    const float i = logistic(gate[0]), o = logistic(gate[2 * H]), g = fast_tanh(gate[3 * H]);
    const float f = cont[b] == 0 ? 0 : cont[b] * logistic(gate[H]);
    const float squashed = fast_tanh(c[at]);
    const float dcell = dc[at] + dh[at] * o * (1 - squashed * squashed);
    dgate[0] = dcell * g * i * (1 - i);
    dgate[H] = dcell * c_prev[at] * f * (1 - f);
    dgate[2 * H] = dh[at] * squashed * o * (1 - o);
    dgate[3 * H] = dcell * i * (1 - g * g);
    dc_prev[at] = dcell * f;
  });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
