#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y = sum(max(0, 1 - d x)^p) / N, with d = 1 for the label's class, else -1; p is 1 or 2 (norm).
///
/// Bottoms: scores N x C (further axes are classes too), and N labels from 0 to C - 1.
/// Source: matches Caffe, which does not check labels.
class HingeLoss final : public Layer {
 public:
  explicit HingeLoss(const LayerParameter& p)
      : squared_(p.hinge_loss_param().norm() == HingeLossParameter::L2) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require_label_per_item(shape, bottom[1]->shape());
    N_ = shape[0];
    C_ = shape.count_from(1);
    per_item_.reshape({N_});
    top[0]->reshape(Shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_indices(bottom[1]->data, C_, "label");
    const float* x = bottom[0]->data.read(ctx);
    const float* label = bottom[1]->data.read(ctx);
    float* per_item = per_item_.write(ctx);
    reduce_rows(ctx, N_, C_, 0, Sum{}, per_item,
                [=, C = C_, squared = squared_] KERNEL(Index n, Index c) -> double {
                  const double d = c == static_cast<Index>(label[n]) ? 1 : -1;
                  const double margin = 1 - d * x[n * C + c];
                  return margin <= 0 ? 0 : squared ? margin * margin : margin;
                });
    const double share = 1.0 / static_cast<double>(N_);
    reduce_rows(ctx, 1, N_, 0, Sum{}, top[0]->data.write(ctx),
                [=] KERNEL(Index, Index n) { return share * per_item[n]; });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx);
    const float* label = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    const float share = 1 / static_cast<float>(N_);
    parallel_for(ctx, {1, N_, C_}, [=, C = C_, squared = squared_] KERNEL(Index, Index n, Index c) {
      const Index i = n * C + c;
      const float d = c == static_cast<Index>(label[n]) ? 1.0f : -1.0f;
      const float margin = 1 - d * x[i];
      const float slope = margin <= 0 ? 0 : squared ? -2 * d * margin : -d;
      dx[i] = dy[0] * share * slope;
    });
  }

 private:
  bool squared_;
  Index N_ = 0, C_ = 0;
  Tensor per_item_;
};

DOPPIO_REGISTER_LAYER("HingeLoss", HingeLoss, .bottoms = exactly(2), .is_loss = true,
                      .no_grad_bottoms = 0b10, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
