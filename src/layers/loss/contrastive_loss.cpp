#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y = sum(s d^2 + (1 - s) max(margin - d, 0)^2) / (2 N), where d is the distance of a pair, and s
/// is 1 for similar pairs; legacy_version has (1 - s) max(margin - d^2, 0).
///
/// Bottoms: two of N vectors each, and N flags (0: dissimilar). Source: Hadsell et al. (2006);
/// matches Caffe.
class ContrastiveLoss final : public Layer {
 public:
  explicit ContrastiveLoss(const LayerParameter& p)
      : margin_(p.contrastive_loss_param().margin()),
        legacy_(p.contrastive_loss_param().legacy_version()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& a = bottom[0]->shape();
    require(a == bottom[1]->shape(), "the vectors of a pair need the same shape, but they are ",
            a.text(), " and ", bottom[1]->shape().text());
    require_label_per_item(a, bottom[2]->shape());
    N_ = a[0];
    C_ = a.count_from(1);
    distance2_.reshape({N_});
    top[0]->reshape(Shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* a = bottom[0]->data.read(ctx);
    const float* b = bottom[1]->data.read(ctx);
    const float* similar = bottom[2]->data.read(ctx);
    float* distance2 = distance2_.write(ctx);
    reduce_rows(ctx, N_, C_, 0, Sum{}, distance2, [=, C = C_] KERNEL(Index n, Index c) {
      const double d = static_cast<double>(a[n * C + c]) - b[n * C + c];
      return d * d;
    });
    const double share = 0.5 / static_cast<double>(N_);
    reduce_rows(ctx, 1, N_, 0, Sum{}, top[0]->data.write(ctx),
                [=, margin = margin_, legacy = legacy_] KERNEL(Index, Index n) -> double {
                  if (std::trunc(similar[n]) != 0) return share * distance2[n];
                  const double gap = margin - (legacy ? distance2[n] : std::sqrt(distance2[n]));
                  return gap <= 0 ? 0 : share * (legacy ? gap : gap * gap);
                });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* a = bottom[0]->data.read(ctx);
    const float* b = bottom[1]->data.read(ctx);
    const float* similar = bottom[2]->data.read(ctx);
    const float* distance2 = distance2_.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    for (std::size_t k = 0; k < 2; ++k) {
      if (!wanted[k]) continue;
      float* dx = bottom[k]->grad.write(ctx);
      const float share = (k == 0 ? 1.0f : -1.0f) / static_cast<float>(N_);
      parallel_for(ctx, {1, N_, C_},
                   [=, C = C_, margin = margin_, legacy = legacy_] KERNEL(Index, Index n, Index c) {
        const Index i = n * C + c;
        float pull = 1;
        if (std::trunc(similar[n]) == 0) {
          const float d = std::sqrt(distance2[n]), gap = margin - (legacy ? distance2[n] : d);
          // 1e-4, as in Caffe, avoids dividing by 0 for equal vectors.
          pull = gap <= 0 ? 0 : legacy ? -1 : -gap / (d + 1e-4f);
        }
        dx[i] = dy[0] * share * pull * (a[i] - b[i]);
      });
    }
  }

 private:
  float margin_;
  bool legacy_;
  Index N_ = 0, C_ = 0;
  Tensor distance2_;  // squared distances, one per pair
};

DOPPIO_REGISTER_LAYER("ContrastiveLoss", ContrastiveLoss, .bottoms = exactly(3), .is_loss = true,
                      .no_grad_bottoms = 0b100, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
