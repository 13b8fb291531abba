#pragma once
#include "layers/support/run_layout.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A layer that applies a function to each element, in place or not.
///
/// `Op` is trivially copyable and constructed from the LayerParameter, with two functions that
/// kernels may call: `value(x)`, and `slope(x, y)`, the derivative where the input was x and the
/// output y. In place, the input is lost and slope() gets y for both, unless the Op has a
/// `keeps_input()` that returns true: then the layer keeps a copy of x. An Op may define
/// `as_follower()`, see Layer.
template <class Op>
class Elementwise final : public Layer {
 public:
  explicit Elementwise(const LayerParameter& p) : op_(p) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    if (top[0] != bottom[0]) top[0]->reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    layout_ = run_layout(ctx, bottom);
    const float* x = bottom[0]->data.read(ctx, layout_);
    Tensor& result = top[0]->data;
    float* y = top[0] == bottom[0] ? result.update(ctx, layout_) : result.write(ctx, layout_);
    if (keeps_input(bottom, top)) {
      input_.reshape(bottom[0]->shape());
      float* kept = input_.write(ctx, layout_);
      parallel_for(ctx, top[0]->count(), [=] KERNEL(Index i) { kept[i] = x[i]; });
    }
    parallel_for(ctx, top[0]->count(), [=, op = op_] KERNEL(Index i) { y[i] = op.value(x[i]); });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Tensor& input = keeps_input(bottom, top) ? input_ : bottom[0]->data;
    const Tensor& output = top[0]->data;
    // The net may have released the tensor that slope() ignores by the traits: pass the other then.
    const float* x = (input.is_released() ? output : input).read(ctx, layout_);
    const float* y = (output.is_released() ? input : output).read(ctx, layout_);
    const float* dy = top[0]->grad.read(ctx, layout_);
    Tensor& grad = bottom[0]->grad;
    float* dx = top[0] == bottom[0] ? grad.update(ctx, layout_) : grad.write(ctx, layout_);
    parallel_for(ctx, top[0]->count(),
                 [=, op = op_] KERNEL(Index i) { dx[i] = dy[i] * op.slope(x[i], y[i]); });
  }

  Follower as_follower(Bottoms, const Blob&) override {
    if constexpr (requires { op_.as_follower(); })
      return op_.as_follower();
    else
      return {};
  }

 private:
  bool keeps_input(Bottoms bottom, Tops top) const {
    if constexpr (requires { op_.keeps_input(); })
      return top[0] == bottom[0] && op_.keeps_input();
    else
      return false;
  }

  Op op_;
  Layout layout_ = Layout::nchw;  // of the last forward pass
  Tensor input_;
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
