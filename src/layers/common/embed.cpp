#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "layers/support/sizes.hpp"
#include "math/filler.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// y = w[x] + b: row x of a learned table for every element x, a whole number.
///
/// Bottom: indices from 0 to input_dim - 1, any shape. Top: that shape, then num_output.
/// Parameters: w (input_dim x num_output), b (num_output, if bias_term).
/// Throws: Error in each forward pass if an index is out of range. Source: matches Caffe, which
/// does not check indices.
class Embed final : public Layer {
 public:
  explicit Embed(const LayerParameter& p) : name_(p.name()), p_(p.embed_param()) {
    require_field(p_.num_output() > 0, "embed_param.num_output",
                  "num_output, the length of a row, must be at least 1");
    require_field(p_.input_dim() > 0, "embed_param.input_dim",
                  "input_dim, the number of rows, must be at least 1");
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Index K = p_.input_dim(), N = p_.num_output();
    if (params.empty()) {
      params.resize(p_.bias_term() ? 2 : 1);
      params[0].reshape(checked_shape({K, N}, "embed_param.input_dim"));
      fill(ctx, p_.weight_filler(), name_, 0, params[0].data);
      if (p_.bias_term()) {
        params[1].reshape({N});
        fill(ctx, p_.bias_filler(), name_, 1, params[1].data, "bias_filler");
      }
    }
    std::vector<Index> dims = bottom[0]->shape().dims();
    dims.push_back(N);
    top[0]->reshape(checked_shape(dims, "embed_param.num_output"));
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_indices(bottom[0]->data, p_.input_dim(), "index");
    const Index N = p_.num_output();
    const float* x = bottom[0]->data.read(ctx);
    const float* w = params[0].data.read(ctx);
    const float* b = p_.bias_term() ? params[1].data.read(ctx) : nullptr;
    float* y = top[0]->data.write(ctx);
    parallel_for(ctx, {1, bottom[0]->count(), N}, [=] KERNEL(Index, Index m, Index n) {
      y[m * N + n] = w[static_cast<Index>(x[m]) * N + n] + (b ? b[n] : 0);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool>, Bottoms bottom) override {
    const Index M = bottom[0]->count(), N = p_.num_output();
    const float* x = bottom[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    if (params[0].needs_grad) {
      // A column of w belongs to one thread, which adds in the order of x: no atomics.
      float* dw = params[0].grad.update(ctx);
      parallel_for(ctx, N, [=] KERNEL(Index n) {
        for (Index m = 0; m < M; ++m) dw[static_cast<Index>(x[m]) * N + n] += dy[m * N + n];
      });
    }
    if (p_.bias_term() && params[1].needs_grad)
      sum_per_channel(ctx, {M, N, 1}, /*add=*/true, params[1].grad.update(ctx),
                      [=] KERNEL(Index, Index i) { return dy[i]; });
  }

 private:
  std::string name_;
  EmbedParameter p_;
};

DOPPIO_REGISTER_LAYER("Embed", Embed, .no_grad_bottoms = 0b1, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
