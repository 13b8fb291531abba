#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y = sum((a - b)^2) / (2 N), with N the size of the first axis; a scalar.
///
/// The bottoms need the same N and the same number of elements, and both get a gradient.
/// Source: matches Caffe.
class EuclideanLoss final : public Layer {
 public:
  explicit EuclideanLoss(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& a = bottom[0]->shape();
    const Shape& b = bottom[1]->shape();
    require(a.axes() > 0 && b.axes() > 0 && a[0] == b[0] && a.count() == b.count(),
            "both bottoms need the same first axis and the same number of elements, but they are ",
            a.text(), " and ", b.text());
    top[0]->reshape(Shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* a = bottom[0]->data.read(ctx);
    const float* b = bottom[1]->data.read(ctx);
    const double share = 0.5 / static_cast<double>(bottom[0]->shape()[0]);
    reduce_rows(ctx, 1, bottom[0]->count(), 0, Sum{}, top[0]->data.write(ctx),
                [=] KERNEL(Index, Index i) {
      const double d = static_cast<double>(a[i]) - b[i];
      return share * d * d;
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* a = bottom[0]->data.read(ctx);
    const float* b = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    for (std::size_t k = 0; k < 2; ++k) {
      if (!wanted[k]) continue;
      const float share = (k == 0 ? 1.0f : -1.0f) / static_cast<float>(bottom[0]->shape()[0]);
      float* dx = bottom[k]->grad.write(ctx);
      parallel_for(ctx, bottom[k]->count(),
                   [=] KERNEL(Index i) { dx[i] = dy[0] * share * (a[i] - b[i]); });
    }
  }
};

DOPPIO_REGISTER_LAYER("EuclideanLoss", EuclideanLoss, .bottoms = exactly(2), .is_loss = true,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
