#include "math/gemm.hpp"

#include <dnnl.h>

#include "doppio/error.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

void gemm(Context&, Transpose transpose_a, Transpose transpose_b, Index M, Index N, Index K,
          float alpha, const float* A, const float* B, float beta, float* C) {
  if (M == 0 || N == 0) return;
  if (K == 0) {  // dnnl_sgemm would leave C as it is
    for (Index i = 0; i < M * N; ++i) C[i] = beta == 0 ? 0 : beta * C[i];
    return;
  }
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const dnnl_status_t status = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, alpha, A,
                                          ta ? M : K, B, tb ? K : N, beta, C, N);
  ensure(status == dnnl_success, str("dnnl_sgemm failed with status ", int{status}));
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
