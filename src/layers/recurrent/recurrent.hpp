#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/extend/layer.hpp"
#include "layers/support/sizes.hpp"
#include "math/filler.hpp"
#include "math/gemm.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Base of RNN and LSTM: B independent streams of T steps, each step with D inputs (x: T x B x
/// D...), a flag that is 0 where a sequence begins (cont: T x B), optionally a static input that is
/// the same at all steps (B x Ds...), and with expose_hidden the initial hidden states (1 x B x H
/// each).
///
/// Tops: the outputs (T x B x H) and, exposed, the final hidden states. Otherwise the final states
/// are the initial ones of the next forward pass; before the first they are zero.
class Recurrent : public Layer {
 protected:
  /// `states`: hidden states per stream. `gates`: outputs of the projection of x, in units of H.
  Recurrent(const LayerParameter& layer, Index states, Index gates)
      : name_(layer.name()),
        p_(layer.recurrent_param()),
        states_(states),
        H_(p_.num_output()),
        G_(gates * H_) {
    require_field(
        H_ > 0, "recurrent_param.num_output",
        p_.has_num_output() ? "num_output must be at least 1, it is 0" : "num_output is missing");
  }

  void reshape_sequence(Bottoms bottom, Tops top) {
    const std::size_t exposed = p_.expose_hidden() ? static_cast<std::size_t>(states_) : 0;
    has_static_ = bottom.size() == exposed + 3;
    require_field(bottom.size() == exposed + 2 || has_static_, "bottom", "takes x, cont",
                  exposed ? ", perhaps a static input, and the hidden states: "
                          : " and perhaps a static input: ",
                  exposed + 2, " or ", exposed + 3, " bottoms, not ", bottom.size());
    require_field(top.size() == exposed + 1, "top", "gives ", exposed + 1,
                  exposed ? " tops" : " top (more with expose_hidden: true)", ", not ", top.size());
    const Shape& x = bottom[0]->shape();
    require(x.axes() >= 2 && x[0] > 0, "x must be T x B x ..., not ", x.text());
    require(T_ == 0 || T_ == x[0], "x now has ", x[0], " steps but began with ", T_,
            "; only the number of streams may change");
    T_ = x[0];
    B_ = x[1];
    D_ = x.count_from(2);
    require(bottom[1]->shape() == Shape({T_, B_}), "cont must be ", Shape({T_, B_}).text(),
            ", not ", bottom[1]->shape().text());
    if (has_static_) {
      const Shape& constant = bottom[2]->shape();
      require(constant.axes() >= 1 && constant[0] == B_, "the static input must be ", B_,
              " x ..., not ", constant.text());
      Ds_ = constant.count_from(1);
    }
    for (const Index size : {D_, Ds_, H_}) checked_shape({G_, size}, "recurrent_param.num_output");
    checked_shape({T_ + 1, B_, G_}, "recurrent_param.num_output");
    top[0]->reshape({T_, B_, H_});
    for (std::size_t i = 1; i < top.size(); ++i) {
      const Shape& state = initial(bottom, i - 1).shape();
      require(state == Shape({1, B_, H_}), "hidden state ", i - 1, " must be ",
              Shape({1, B_, H_}).text(), ", not ", state.text());
      top[i]->reshape(state);
    }
    projected_.reshape({T_, B_, G_});
  }

  Blob& initial(Bottoms bottom, std::size_t state) const {
    return *bottom[(has_static_ ? 3 : 2) + state];
  }

  /// Creates and fills parameter i, a weight or a bias, unless it exists.
  void make_param(const Context& ctx, std::size_t i, const Shape& shape) {
    if (i < params.size()) {
      require_field(params[i].shape() == shape, "bottom", "the bottom now needs weights of shape ",
                    shape.text(), " but they were made as ", params[i].shape().text());
      return;
    }
    Blob& param = params.emplace_back();
    param.reshape(shape);
    const bool bias = shape.axes() == 1;
    fill(ctx, bias ? p_.bias_filler() : p_.weight_filler(), name_, static_cast<Index>(i),
         param.data, bias ? "bias_filler" : "weight_filler");
  }

  /// Params 0, 1 and, with a static input, 2: the weights of x, the bias, the static weights.
  void make_input_params(const Context& ctx) {
    make_param(ctx, 0, {G_, D_});
    make_param(ctx, 1, {G_});
    if (has_static_) make_param(ctx, 2, {G_, Ds_});
  }

 public:
  /// Initialises the states of a forward pass, (T + 1) x B x H: step 0 is the last step, or
  /// `exposed`.
  void begin(Context& ctx, const Tensor* exposed, Tensor& states) const {
    const Index step = B_ * H_, last = T_ * step;
    const bool fresh = states.count() != (T_ + 1) * step;
    states.reshape({T_ + 1, B_, H_});
    const float* from = exposed ? exposed->read(ctx) : nullptr;
    float* to = fresh ? states.write(ctx) : states.update(ctx);
    parallel_for(ctx, step, [=] KERNEL(Index i) {
      to[i] = from ? from[i] : fresh ? 0 : to[last + i];
    });
  }

  /// to = steps first .. first + count - 1 of `states`.
  void copy_steps(Context& ctx, const Tensor& states, Index first, Index count,
                  Tensor& to_tensor) const {
    const float* from = states.read(ctx) + first * B_ * H_;
    float* to = to_tensor.write(ctx);
    parallel_for(ctx, count * B_ * H_, [=] KERNEL(Index i) { to[i] = from[i]; });
  }

  /// to[b, h] = cont[b] * from[b, h]: the state that a stream keeps; added to `to` if `add`.
  void remember(Context& ctx, const float* cont, const float* from, float* to,
                bool add = false) const {
    parallel_for(ctx, {1, B_, H_}, [=, H = H_] KERNEL(Index, Index b, Index h) {
      const float kept = cont[b] * from[b * H + h];
      to[b * H + h] = add ? to[b * H + h] + kept : kept;
    });
  }

  /// projected_ = W x + bias + W_static static, for all steps at once.
  void project(Context& ctx, Bottoms bottom) {
    float* y = projected_.write(ctx);
    gemm(ctx, Transpose::no, Transpose::yes, T_ * B_, G_, D_, 1, bottom[0]->data.read(ctx),
         params[0].data.read(ctx), 0, y);
    const float* bias = params[1].data.read(ctx);
    const float* constant = nullptr;
    if (has_static_) {
      static_.reshape({B_, G_});
      gemm(ctx, Transpose::no, Transpose::yes, B_, G_, Ds_, 1, bottom[2]->data.read(ctx),
           params[2].data.read(ctx), 0, static_.write(ctx));
      constant = static_.read(ctx);
    }
    parallel_for(ctx, {T_, B_, G_}, [=, B = B_, G = G_] KERNEL(Index t, Index b, Index g) {
      y[(t * B + b) * G + g] += bias[g] + (constant ? constant[b * G + g] : 0);
    });
  }

  /// The gradients of project(), from dy (T x B x G).
  void project_backward(Context& ctx, const Tensor& dy_tensor, std::span<const bool> wanted,
                        Bottoms bottom) {
    const float* dy = dy_tensor.read(ctx);
    if (params[0].needs_grad)
      gemm(ctx, Transpose::yes, Transpose::no, G_, D_, T_ * B_, 1, dy, bottom[0]->data.read(ctx), 1,
           params[0].grad.update(ctx));
    if (params[1].needs_grad) add_columns(ctx, T_ * B_, G_, dy, params[1].grad);
    if (wanted[0])
      gemm(ctx, Transpose::no, Transpose::no, T_ * B_, D_, G_, 1, dy, params[0].data.read(ctx), 0,
           bottom[0]->grad.write(ctx));
    if (!has_static_) return;
    float* sums = static_.write(ctx);  // of dy over the steps
    const Index T = T_, step = B_ * G_;
    parallel_for(ctx, step, [=] KERNEL(Index i) {
      double sum = 0;
      for (Index t = 0; t < T; ++t) sum += dy[t * step + i];
      sums[i] = static_cast<float>(sum);
    });
    if (params[2].needs_grad)
      gemm(ctx, Transpose::yes, Transpose::no, G_, Ds_, B_, 1, sums, bottom[2]->data.read(ctx), 1,
           params[2].grad.update(ctx));
    if (wanted[2])
      gemm(ctx, Transpose::no, Transpose::no, B_, Ds_, G_, 1, sums, params[2].data.read(ctx), 0,
           bottom[2]->grad.write(ctx));
  }

  /// The initial states get no gradient, as in Caffe: sets it to zero if requested.
  void no_gradient_for_states(Context& ctx, std::span<const bool> wanted, Bottoms bottom) const {
    for (std::size_t i = has_static_ ? 3 : 2; i < bottom.size(); ++i) {
      if (!wanted[i]) continue;
      float* dx = bottom[i]->grad.write(ctx);
      parallel_for(ctx, bottom[i]->count(), [=] KERNEL(Index k) { dx[k] = 0; });
    }
  }

  /// sum_tensor[col] += sum over rows of a.
  static void add_columns(Context& ctx, Index rows, Index cols, const float* a,
                          Tensor& sum_tensor) {
    float* sum = sum_tensor.update(ctx);
    parallel_for(ctx, cols, rows, [=] KERNEL(Index c) {
      double total = 0;
      for (Index r = 0; r < rows; ++r) total += a[r * cols + c];
      sum[c] += static_cast<float>(total);
    });
  }

 protected:
  std::string name_;
  RecurrentParameter p_;
  Index states_;
  Index T_ = 0, B_ = 0, D_ = 0, Ds_ = 0, H_, G_;
  bool has_static_ = false;
  Tensor projected_;  // T x B x G
  Tensor static_;     // B x G: contribution of the static input to every step
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
