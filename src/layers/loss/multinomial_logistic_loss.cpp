#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

constexpr float kLeastProbability = 1e-20f;  // keeps the logarithm finite

/// y = -sum(log p[label]) / N, with p a probability; SoftmaxWithLoss is this on raw scores.
///
/// Bottoms: probabilities N x C (further axes are classes too), and N labels from 0 to C - 1.
/// Source: matches Caffe, which does not check labels.
class MultinomialLogisticLoss final : public Layer {
 public:
  explicit MultinomialLogisticLoss(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require_label_per_item(shape, bottom[1]->shape());
    N_ = shape[0];
    C_ = shape.count_from(1);
    top[0]->reshape(Shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_indices(bottom[1]->data, C_, "label");
    const float* p = bottom[0]->data.read(ctx);
    const float* label = bottom[1]->data.read(ctx);
    const double share = 1.0 / static_cast<double>(N_);
    reduce_rows(ctx, 1, N_, 0, Sum{}, top[0]->data.write(ctx), [=, C = C_] KERNEL(Index, Index n) {
      const float likelihood = p[n * C + static_cast<Index>(label[n])];
      return -share *
             std::log(double{likelihood > kLeastProbability ? likelihood : kLeastProbability});
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* p = bottom[0]->data.read(ctx);
    const float* label = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dp = bottom[0]->grad.write(ctx);
    const float share = 1 / static_cast<float>(N_);
    parallel_for(ctx, {1, N_, C_}, [=, C = C_] KERNEL(Index, Index n, Index c) {
      const Index i = n * C + c;
      const float likelihood = p[i] > kLeastProbability ? p[i] : kLeastProbability;
      dp[i] = c == static_cast<Index>(label[n]) ? -dy[0] * share / likelihood : 0;
    });
  }

 private:
  Index N_ = 0, C_ = 0;
};

DOPPIO_REGISTER_LAYER("MultinomialLogisticLoss", MultinomialLogisticLoss, .bottoms = exactly(2),
                      .is_loss = true, .no_grad_bottoms = 0b10, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
