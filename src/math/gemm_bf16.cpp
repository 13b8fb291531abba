#include "math/gemm_bf16.hpp"

#include <algorithm>
#include <dnnl.hpp>

#include "core/cpu.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using dnnl::memory;

/// Floats that `count` values of bfloat16 take, in whole cache lines.
Index floats_for(Index count) { return (count + 31) / 32 * 16; }

/// op(X), rows x columns, of a dense matrix.
memory::desc matrix(Index rows, Index columns, bool transposed, memory::data_type type) {
  return {{rows, columns}, type, transposed ? memory::dims{1, rows} : memory::dims{columns, 1}};
}

dnnl::matmul::primitive_desc describe(const dnnl::engine& cpu, const memory::desc& a,
                                      const memory::desc& b, const memory::desc& c, float beta) {
  dnnl::primitive_attr attributes;
  dnnl::post_ops after;
  if (beta != 0) after.append_sum(beta);
  attributes.set_post_ops(after);
#if DNNL_VERSION_MAJOR >= 3
  return {cpu, a, b, c, attributes};
#else
  return {{a, b, c}, attributes, cpu};
#endif
}

}  // namespace

bool bf16_pays(Index M, Index N, Index K) {
  constexpr Index kLeast = 16;
  return cpu_has_bf16() && std::min({M, N, K}) >= kLeast;
}

Index bf16_copies_size(Index M, Index N, Index K) { return floats_for(M * K) + floats_for(K * N); }

void gemm_bf16(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
               const float* B, float beta, float* C, float* scratch) try {
  using Type = memory::data_type;
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  const auto rounded =
      [&](const float* from, Index rows, Index columns, bool transposed, float* to) {
    memory exact(matrix(rows, columns, transposed, Type::f32), cpu, const_cast<float*>(from));
    memory copy(matrix(rows, columns, transposed, Type::bf16), cpu, to);
    dnnl::reorder(exact, copy).execute(stream, exact, copy);
    return copy;
  };
  const memory a = rounded(A, M, K, transpose_a, scratch),
               b = rounded(B, K, N, transpose_b, scratch + floats_for(M * K)),
               c(matrix(M, N, false, Type::f32), cpu, C);
  dnnl::matmul(describe(cpu, a.get_desc(), b.get_desc(), c.get_desc(), beta))
      .execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
  stream.wait();
} catch (const dnnl::error& e) {
  throw InternalError(str("oneDNN's product of bfloat16: ", e.what()));
}

}  // namespace doppio
