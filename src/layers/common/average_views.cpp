#include <cfloat>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/loss/softmax.hpp"

namespace doppio {
namespace {

/// log of the mean of softmax(x) over the views of an image: scores for Accuracy and
/// SoftmaxWithLoss, whose probabilities are then these means.
///
/// Bottom: scores, N * views x C (more axes may follow), the views of an image one after another,
/// as a data layer gives them with transform_param.views. Top: N x C. A mean is at least the
/// smallest float, FLT_MIN. No gradient. A net adds this layer itself if its data layer has views.
/// Throws: Error if the batch is not a multiple of the views. Source: Krizhevsky et al., "ImageNet
/// Classification with Deep Convolutional Neural Networks" (2012), section 4.1.
class AverageViews final : public Layer {
 public:
  explicit AverageViews(const LayerParameter& p) : views_(p.transform_param().views()) {
    require_field(views_ > 0, "transform_param.views", "views must be at least 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    axis_ = ClassAxis(shape, 1);
    require_field(axis_.outer % views_ == 0, "transform_param.views", "a batch of ", axis_.outer,
                  " is not a multiple of ", views_, " views");
    top[0]->reshape(shape.with(0, axis_.outer / views_));
    probabilities_.reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    softmax(ctx, axis_, bottom[0]->data.read(ctx), probabilities_.write(ctx), scratch_);
    const float* p = probabilities_.read(ctx);
    float* y = top[0]->data.write(ctx);
    parallel_for(
        ctx, {1, axis_.outer / views_, axis_.classes * axis_.inner},
        [=, V = views_, values = axis_.classes * axis_.inner] KERNEL(Index, Index n, Index i) {
      float sum = 0;
      for (Index v = 0; v < V; ++v) sum += p[(n * V + v) * values + i];
      const float mean = sum / static_cast<float>(V);
      y[n * values + i] = std::log(mean < FLT_MIN ? FLT_MIN : mean);
        });
  }

 private:
  Index views_;
  ClassAxis axis_;
  Tensor probabilities_, scratch_;
};

DOPPIO_REGISTER_LAYER("AverageViews", AverageViews, .no_grad_bottoms = 0b1,
                      .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
