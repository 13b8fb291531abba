#include "layers/loss/softmax.hpp"

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"

namespace doppio {
namespace {

/// y = exp(x) / sum(exp(x)), the sum running over the classes.
///
/// Shapes: any, in place or not; the classes are along `axis` (default 1; negative counts from the
/// end). Throws: Error if there is no such axis. Source: matches Caffe.
class Softmax final : public Layer {
 public:
  explicit Softmax(const LayerParameter& layer) : axis_param_(layer.softmax_param().axis()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    axis_ = ClassAxis(bottom[0]->shape(), axis_param_);
    if (top[0] != bottom[0]) top[0]->reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const bool in_place = top[0] == bottom[0];
    const float* x = bottom[0]->data.read(ctx);
    float* y = in_place ? top[0]->data.update(ctx) : top[0]->data.write(ctx);
    softmax(ctx, axis_, x, y, scratch_);
  }

  /// dx = y (dy - sum(dy y)).
  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const bool in_place = top[0] == bottom[0];
    const float* y = top[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = in_place ? bottom[0]->grad.update(ctx) : bottom[0]->grad.write(ctx);
    float* dot = scratch_.write(ctx);
    reduce_rows(ctx, axis_.items(), axis_.classes, 0, Sum{}, dot,
                [=, a = axis_] KERNEL(Index item, Index c) {
      const Index at = a.begin(item) + c * a.inner;
      return dy[at] * y[at];
    });
    for_each_value(ctx, axis_,
                   [=] KERNEL(Index item, Index at) { dx[at] = y[at] * (dy[at] - dot[item]); });
  }

 private:
  Index axis_param_;
  ClassAxis axis_;
  Tensor scratch_;  // a number per item
};

DOPPIO_REGISTER_LAYER("Softmax", Softmax, .in_place = true, .backward_reads_bottom = false);

}  // namespace
}  // namespace doppio
