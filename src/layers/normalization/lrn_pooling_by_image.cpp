#include <cstddef>

#include "layers/normalization/for_each_piece.hpp"
#include "layers/normalization/lrn_pooling_engine.hpp"

namespace doppio {

namespace {

/// Returns `pooling` with maps in `layout`.
PoolingGeometry pooling_in(PoolingGeometry pooling, Layout layout) {
  pooling.layout = layout;
  return pooling;
}

class LrnPoolingByImage final : public LrnPoolingEngine {
 public:
  LrnPoolingByImage(const LrnGeometry& lrn, const PoolingGeometry& pooling)
      : values_(lrn.values()),
        pooled_(pooling.pooled_values()),
        argmax_bytes_(pooling.argmax_bytes(1)),
        lrn_(make_lrn_engine("each image", lrn)),
        pooling_(make_pooling_engine("each image", pooling_in(pooling, lrn_->layout()))) {}

  Index workspace(Index images) const override {
    return num_threads_for(images) * (values_ + lrn_->workspace(1));
  }

  void forward(Context& ctx, const Tensor& x_tensor, Tensor& y_tensor,
               void* argmax) const override {
    const Index images = x_tensor.shape()[0];
    const float* x = x_tensor.read(ctx, lrn_->layout());
    float* y = y_tensor.write(ctx, lrn_->layout());
    float* between = ctx.workspace(num_threads_for(images) * values_);
    for_each_piece(images, [&](Index i, Index thread) {
      float* normalized = between + thread * values_;
      lrn_->forward_maps(ctx, 1, x + i * values_, normalized);
      pooling_->forward_maps(ctx, 1, normalized, y + i * pooled_,
                             static_cast<std::byte*>(argmax) + i * argmax_bytes_);
    });
  }

  void backward(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor, const void* argmax,
                Tensor& dx_tensor) const override {
    const Index images = x_tensor.shape()[0], each = values_ + lrn_->workspace(1);
    const float* x = x_tensor.read(ctx, lrn_->layout());
    const float* dy = dy_tensor.read(ctx, lrn_->layout());
    float* dx = dx_tensor.write(ctx, lrn_->layout());
    float* all = ctx.workspace(num_threads_for(images) * each);
    for_each_piece(images, [&](Index i, Index thread) {
      float* between = all + thread * each;
      pooling_->backward_maps(ctx, 1, dy + i * pooled_,
                              static_cast<const std::byte*>(argmax) + i * argmax_bytes_, between);
      lrn_->backward_maps(ctx, 1, x + i * values_, between, between + values_, dx + i * values_);
    });
  }

 private:
  Index values_, pooled_, argmax_bytes_;  // of an image
  std::unique_ptr<LrnEngine> lrn_;
  std::unique_ptr<PoolingEngine> pooling_;
};

}  // namespace

std::string why_not_lrn_pooling_by_image(const LrnGeometry& lrn, const PoolingGeometry& pooling) {
  if (lrn.reference || pooling.reference) return "the generic engines were requested";
  if (pooling.method == PoolingMethod::draw || pooling.method == PoolingMethod::expected)
    return "STOCHASTIC depends on the number of the image";
  LrnGeometry blocked = lrn;
  blocked.layout = Layout::nchw_blocked;
  if (!why_not_blocked_lrn(blocked).empty()) return {};  // NCHW, which all pooling supports
  return why_not_blocked_pooling(pooling_in(pooling, Layout::nchw_blocked));
}

std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_by_image(const LrnGeometry& lrn,
                                                            const PoolingGeometry& pooling) {
  return std::make_unique<LrnPoolingByImage>(lrn, pooling);
}

}  // namespace doppio
