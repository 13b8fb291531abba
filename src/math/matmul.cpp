#include "math/matmul.hpp"

#include <algorithm>
#include <dnnl.hpp>

#include "core/cpu.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

using dnnl::memory;
using Type = memory::data_type;

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// Returns the floats that `count` bfloat16 values take, in whole cache lines.
Index floats_for(Index count) { return (count + 31) / 32 * 16; }

/// Returns op(X), rows x columns, of a dense matrix X.
memory matrix(Index rows, Index columns, bool transposed, Type type, const float* values) {
  const memory::desc desc({rows, columns}, type,
                          transposed ? memory::dims{1, rows} : memory::dims{columns, 1});
  return memory(desc, cpu(), const_cast<float*>(values));
}

dnnl::matmul::primitive_desc describe(const memory::desc& a, const memory::desc& b,
                                      const memory::desc& c, float beta) {
  dnnl::primitive_attr attributes;
  dnnl::post_ops after;
  if (beta != 0) after.append_sum(beta);
  attributes.set_post_ops(after);
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(), a, b, c, attributes};
#else
  return {{a, b, c}, attributes, cpu()};
#endif
}

void multiply(dnnl::stream& stream, const memory& a, const memory& b, const memory& c, float beta) {
  dnnl::matmul(describe(a.get_desc(), b.get_desc(), c.get_desc(), beta))
      .execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
  stream.wait();
}

template <class Action>
void check(Action action) try {
  dnnl::stream stream(cpu());
  action(stream);
} catch (const dnnl::error& e) {
  throw InternalError(str("oneDNN's matmul: ", e.what()));
}

}  // namespace

void matmul(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
            const float* B, float beta, float* C) {
  check([&](dnnl::stream& stream) {
    multiply(stream, matrix(M, K, transpose_a, Type::f32, A),
             matrix(K, N, transpose_b, Type::f32, B), matrix(M, N, false, Type::f32, C), beta);
  });
}

void matmul_bf16(bool transpose_a, bool transpose_b, Index M, Index N, Index K, const float* A,
                 const float* B, float beta, float* C, float* scratch) {
  check([&](dnnl::stream& stream) {
    const auto rounded =
        [&](const float* from, Index rows, Index columns, bool transposed, float* to) {
      memory exact = matrix(rows, columns, transposed, Type::f32, from);
      memory copy = matrix(rows, columns, transposed, Type::bf16, to);
      dnnl::reorder(exact, copy).execute(stream, exact, copy);
      return copy;
    };
    multiply(stream, rounded(A, M, K, transpose_a, scratch),
             rounded(B, K, N, transpose_b, scratch + floats_for(M * K)),
             matrix(M, N, false, Type::f32, C), beta);
  });
}

Index bf16_copies_size(Index M, Index N, Index K) { return floats_for(M * K) + floats_for(K * N); }

bool bf16_pays(Index M, Index N, Index K) {
  constexpr Index kLeast = 16;
  return cpu_has_bf16() && std::min({M, N, K}) >= kLeast;
}

}  // namespace doppio
