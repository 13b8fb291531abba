#pragma once
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A layer that maps every element by itself, in place or not.
///
/// `Op` is trivially copyable and constructed from the LayerParameter, with two functions that
/// kernels may call: `value(x)`, and `slope(x, y)`, the derivative where the input was x and the
/// output y. In place both are given y, so an Op registered with in_place must compute its slope
/// from y; where it can do so only for some parameters, `check_in_place()` throws for the others.
template <class Op>
class Elementwise final : public Layer {
 public:
  explicit Elementwise(const LayerParameter& p) : op_(p) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    if (top[0] != bottom[0]) top[0]->reshape(bottom[0]->shape());
    if constexpr (requires { op_.check_in_place(); })
      if (top[0] == bottom[0]) op_.check_in_place();
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0] == bottom[0] ? top[0]->data.update(ctx) : top[0]->data.write(ctx);
    parallel_for(ctx, top[0]->count(), [=, op = op_] KERNEL(Index i) { y[i] = op.value(x[i]); });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx);
    const float* y = top[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = top[0] == bottom[0] ? bottom[0]->grad.update(ctx) : bottom[0]->grad.write(ctx);
    parallel_for(ctx, top[0]->count(),
                 [=, op = op_] KERNEL(Index i) { dx[i] = dy[i] * op.slope(x[i], y[i]); });
  }

 private:
  Op op_;
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
