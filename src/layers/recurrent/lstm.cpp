#include "doppio/extend/registry.hpp"
#include "layers/recurrent/lstm_unit.hpp"
#include "layers/recurrent/recurrent.hpp"

namespace doppio {
namespace {

/// Long short-term memory (LSTM) network.
///
/// Bottoms: x, cont and the others of Recurrent; H = num_output. At each step the gates (i, f, o,
/// g) = W_xc x + b_c + W_xc_static static + W_hc (cont h) give c = cont sigmoid(f) c + sigmoid(i)
/// tanh(g) and the output h = sigmoid(o) tanh(c). Exposed states: h, c. Params: W_xc (4H x D), b_c
/// (4H), W_xc_static (4H x Ds) if there is a static input, W_hc (4H x H).
///
/// Throws: Error if shapes disagree or the number of steps changes.
/// Source: Donahue et al. (2014); matches Caffe, also in that exposed states get no gradients.
class Lstm final : public Recurrent {
 public:
  explicit Lstm(const LayerParameter& layer) : Recurrent(layer, 2, 4) {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    reshape_sequence(bottom, top);
    make_input_params(ctx);
    make_param(ctx, hidden_param(), {G_, H_});
    remembered_.reshape({T_, B_, H_});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const bool exposed = top.size() > 1;
    begin(ctx, exposed ? &initial(bottom, 0).data : nullptr, h_);
    begin(ctx, exposed ? &initial(bottom, 1).data : nullptr, c_);
    project(ctx, bottom);
    const float* cont = bottom[1]->data.read(ctx);
    const float* weight = params[hidden_param()].data.read(ctx);
    float *gates = projected_.update(ctx), *remembered = remembered_.write(ctx);
    float *h = h_.update(ctx), *c = c_.update(ctx);
    const Index step = B_ * H_;
    for (Index t = 0; t < T_; ++t, h += step, c += step, gates += B_ * G_, remembered += step) {
      remember(ctx, cont + t * B_, h, remembered);
      gemm(ctx, Transpose::no, Transpose::yes, B_, G_, H_, 1, remembered, weight, 1, gates);
      lstm_step(ctx, B_, H_, cont + t * B_, gates, c, c + step, h + step);
    }
    copy_steps(ctx, h_, 1, T_, top[0]->data);
    if (!exposed) return;
    copy_steps(ctx, h_, T_, 1, top[1]->data);
    copy_steps(ctx, c_, T_, 1, top[2]->data);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const Index step = B_ * H_;
    for (Tensor* t : {&dh_, &dc_, &dremembered_}) t->reshape({B_, H_});
    dgates_.reshape({T_, B_, G_});
    const float* cont = bottom[1]->data.read(ctx);
    const float* weight = params[hidden_param()].data.read(ctx);
    const float *gates = projected_.read(ctx), *c = c_.read(ctx);
    float *dgates = dgates_.write(ctx), *dh = dh_.write(ctx), *dc = dc_.write(ctx);
    float* dremembered = dremembered_.write(ctx);
    for (Index t = T_; t-- > 0;) {
      const float* dy = top[0]->grad.read(ctx) + t * step;
      const bool last = t == T_ - 1;
      parallel_for(ctx, step, [=] KERNEL(Index i) {
        dh[i] = dy[i];
        if (last) dc[i] = 0;
      });
      if (!last) remember(ctx, cont + (t + 1) * B_, dremembered, dh, true);
      lstm_step_backward(ctx, B_, H_, cont + t * B_, gates + t * B_ * G_, c + t * step,
                         c + (t + 1) * step, dc, dh, dgates + t * B_ * G_, dc);
      gemm(ctx, Transpose::no, Transpose::no, B_, H_, G_, 1, dgates + t * B_ * G_, weight, 0,
           dremembered);
    }
    if (params[hidden_param()].needs_grad)
      gemm(ctx, Transpose::yes, Transpose::no, G_, H_, T_ * B_, 1, dgates, remembered_.read(ctx), 1,
           params[hidden_param()].grad.update(ctx));
    project_backward(ctx, dgates_, wanted, bottom);
    no_gradient_for_states(ctx, wanted, bottom);
  }

 private:
  std::size_t hidden_param() const { return has_static_ ? 3 : 2; }

  Tensor h_, c_;       // (T + 1) x B x H, starting with the initial states
  Tensor remembered_;  // T x B x H: cont times the previous h
  Tensor dh_, dc_, dremembered_, dgates_;
};

DOPPIO_REGISTER_LAYER("LSTM", Lstm, .bottoms = {2, 5}, .tops = {1, 3}, .no_grad_bottoms = 0b10,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
