#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Decides which targets are ignored.
struct Ignored {
  bool any = false;
  float label = 0;
  HOST_DEVICE bool operator()(float target) const { return any && std::trunc(target) == label; }
};

/// y = -sum(t log s(x) + (1 - t) log(1 - s(x))) / normaliser, s the sigmoid, t a target in 0 .. 1.
///
/// Bottoms: scores x and as many targets. Elements whose target, truncated, is
/// loss_param.ignore_label are ignored. The sum is divided by the batch size (the default), the
/// number of elements that count (VALID), of all elements (FULL) or 1 (NONE), and at least by 1.
/// Source: matches Caffe.
class SigmoidCrossEntropyLoss final : public Layer {
 public:
  explicit SigmoidCrossEntropyLoss(const LayerParameter& layer)
      : ignored_{layer.loss_param().has_ignore_label(),
                 static_cast<float>(layer.loss_param().ignore_label())} {
    const LossParameter& loss = layer.loss_param();
    normalization_ = loss.has_normalization() ? loss.normalization()
                     : loss.normalize()       ? LossParameter::VALID
                                              : LossParameter::BATCH_SIZE;
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& x = bottom[0]->shape();
    const Shape& target = bottom[1]->shape();
    require(x.axes() > 0 && target.axes() > 0 && x[0] == target[0] && x.count() == target.count(),
            "scores of ", x.text(), " need as many targets, not ", target.text());
    top[0]->reshape(Shape());
    normalizer_.reshape({1});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index n = bottom[0]->count();
    const float* x = bottom[0]->data.read(ctx);
    const float* target = bottom[1]->data.read(ctx);
    float* loss = top[0]->data.write(ctx);
    float* normalizer = normalizer_.write(ctx);
    // log(1 + exp(-|x|)) cannot overflow.
    reduce_rows(
        ctx, 1, n, 0, Sum{}, loss, [=, ignored = ignored_] KERNEL(Index, Index i) -> double {
          const double v = x[i], t = target[i];
          return ignored(target[i]) ? 0 : std::log1p(std::exp(-std::abs(v))) - v * (t - (v >= 0));
        });
    const float fixed = fixed_normalizer(bottom[0]->shape());
    const bool valid = normalization_ == LossParameter::VALID;
    reduce_rows(ctx, 1, valid ? n : 1, 0, Sum{}, normalizer,
                [=, ignored = ignored_] KERNEL(Index, Index i) {
      return !valid ? fixed : ignored(target[i]) ? 0.0f : 1.0f;
    });
    parallel_for(ctx, 1, [=] KERNEL(Index) {
      if (normalizer[0] < 1) normalizer[0] = 1;
      loss[0] /= normalizer[0];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx);
    const float* target = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    const float* normalizer = normalizer_.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, bottom[0]->count(), [=, ignored = ignored_] KERNEL(Index i) {
      const float slope = 1 / (1 + std::exp(-x[i])) - target[i];
      dx[i] = ignored(target[i]) ? 0 : slope * (dy[0] / normalizer[0]);
    });
  }

 private:
  float fixed_normalizer(const Shape& shape) const {
    if (normalization_ == LossParameter::NONE) return 1;
    return static_cast<float>(normalization_ == LossParameter::FULL ? shape.count() : shape[0]);
  }

  Ignored ignored_;
  LossParameter::NormalizationMode normalization_;
  Tensor normalizer_;  // of the last forward pass
};

DOPPIO_REGISTER_LAYER("SigmoidCrossEntropyLoss", SigmoidCrossEntropyLoss, .bottoms = exactly(2),
                      .is_loss = true, .no_grad_bottoms = 0b10, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
