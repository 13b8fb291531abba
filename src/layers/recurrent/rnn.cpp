#include "doppio/extend/registry.hpp"
#include "layers/recurrent/recurrent.hpp"

namespace doppio {
namespace {

/// A simple recurrent network with an output layer.
///
/// Bottoms: x, cont and the others of Recurrent; H = num_output. At each step h = tanh(W_xh x + b_h
/// + W_xh_static static + W_hh (cont h)) and the output is tanh(W_ho h + b_o). Exposed state: h.
/// Params: W_xh (H x D), b_h (H), W_xh_static (H x Ds) if there is a static input, W_hh (H x H),
/// W_ho (H x H), b_o (H).
///
/// Throws: Error if shapes disagree or the number of steps changes.
/// Source: matches Caffe, also in that exposed states get no gradients.
class Rnn final : public Recurrent {
 public:
  explicit Rnn(const LayerParameter& layer) : Recurrent(layer, 1, 1) {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    reshape_sequence(bottom, top);
    make_input_params(ctx);
    make_param(ctx, hidden_param(), {H_, H_});
    make_param(ctx, hidden_param() + 1, {H_, H_});
    make_param(ctx, hidden_param() + 2, {H_});
    remembered_.reshape({T_, B_, H_});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    begin(ctx, top.size() > 1 ? &initial(bottom, 0).data : nullptr, h_);
    project(ctx, bottom);
    const float* cont = bottom[1]->data.read(ctx);
    const float* weight = params[hidden_param()].data.read(ctx);
    float *sums = projected_.update(ctx), *remembered = remembered_.write(ctx);
    float* h = h_.update(ctx);
    const Index step = B_ * H_;
    for (Index t = 0; t < T_; ++t, h += step, sums += step, remembered += step) {
      remember(ctx, cont + t * B_, h, remembered);
      gemm(ctx, Transpose::no, Transpose::yes, B_, H_, H_, 1, remembered, weight, 1, sums);
      float* next = h + step;
      parallel_for(ctx, step, [=] KERNEL(Index i) { next[i] = std::tanh(sums[i]); });
    }
    output(ctx, top[0]->data);
    if (top.size() > 1) copy_steps(ctx, h_, T_, 1, top[1]->data);
  }

  /// y = tanh(W_ho h + b_o) at all steps.
  void output(Context& ctx, Tensor& y_tensor) {
    float* y = y_tensor.write(ctx);
    gemm(ctx, Transpose::no, Transpose::yes, T_ * B_, H_, H_, 1, h_.read(ctx) + B_ * H_,
         params[hidden_param() + 1].data.read(ctx), 0, y);
    const float* bias = params[hidden_param() + 2].data.read(ctx);
    parallel_for(ctx, {1, T_ * B_, H_}, [=, H = H_] KERNEL(Index, Index row, Index i) {
      y[row * H + i] = std::tanh(y[row * H + i] + bias[i]);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    output_backward(ctx, *top[0]);
    const Index step = B_ * H_;
    dremembered_.reshape({B_, H_});
    const float* cont = bottom[1]->data.read(ctx);
    const float* weight = params[hidden_param()].data.read(ctx);
    const float* h = h_.read(ctx);
    float *dh = dh_.update(ctx), *dremembered = dremembered_.write(ctx);
    for (Index t = T_; t-- > 0;) {
      float* dsum = dh + t * step;  // dh becomes the gradient of the tanh's argument
      if (t < T_ - 1) remember(ctx, cont + (t + 1) * B_, dremembered, dsum, true);
      const float* y = h + (t + 1) * step;
      parallel_for(ctx, step, [=] KERNEL(Index i) { dsum[i] *= 1 - y[i] * y[i]; });
      gemm(ctx, Transpose::no, Transpose::no, B_, H_, H_, 1, dsum, weight, 0, dremembered);
    }
    if (params[hidden_param()].needs_grad)
      gemm(ctx, Transpose::yes, Transpose::no, H_, H_, T_ * B_, 1, dh, remembered_.read(ctx), 1,
           params[hidden_param()].grad.update(ctx));
    project_backward(ctx, dh_, wanted, bottom);
    no_gradient_for_states(ctx, wanted, bottom);
  }

  /// dh_ = the gradient of h from the outputs, at all steps.
  void output_backward(Context& ctx, Blob& top) {
    const float *y = top.data.read(ctx), *dy = top.grad.read(ctx);
    dh_.reshape({T_, B_, H_});
    dsum_.reshape({T_, B_, H_});
    float* dsum = dsum_.write(ctx);
    parallel_for(ctx, T_ * B_ * H_, [=] KERNEL(Index i) { dsum[i] = dy[i] * (1 - y[i] * y[i]); });
    Blob &weight = params[hidden_param() + 1], &bias = params[hidden_param() + 2];
    if (weight.needs_grad)
      gemm(ctx, Transpose::yes, Transpose::no, H_, H_, T_ * B_, 1, dsum, h_.read(ctx) + B_ * H_, 1,
           weight.grad.update(ctx));
    if (bias.needs_grad) add_columns(ctx, T_ * B_, H_, dsum, bias.grad);
    gemm(ctx, Transpose::no, Transpose::no, T_ * B_, H_, H_, 1, dsum, weight.data.read(ctx), 0,
         dh_.write(ctx));
  }

 private:
  std::size_t hidden_param() const { return has_static_ ? 3 : 2; }

  Tensor h_;           // (T + 1) x B x H, starting with the initial state
  Tensor remembered_;  // T x B x H: cont times the previous h
  Tensor dh_, dremembered_, dsum_;
};

DOPPIO_REGISTER_LAYER("RNN", Rnn, .bottoms = {2, 4}, .tops = {1, 2}, .no_grad_bottoms = 0b10);

}  // namespace
}  // namespace doppio
