#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y = (x - mean) / (standard deviation + eps) for every item and channel, or with across_channels
/// for every item; without normalize_variance only the mean is subtracted.
///
/// Bottom: at most four axes, of which the first two are item and channel. Top: four axes; missing
/// ones have size 1. The gradient treats eps as part of the deviation, which is exact for eps 0.
/// Source: matches Caffe.
class Mvn final : public Layer {
 public:
  explicit Mvn(const LayerParameter& p)
      : scaled_(p.mvn_param().normalize_variance()),
        across_channels_(p.mvn_param().across_channels()),
        eps_(p.mvn_param().eps()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() <= 4, "MVN takes at most four axes, but the bottom is ", shape.text());
    require(top[0] != bottom[0] || shape.axes() == 4, "in place the bottom needs four axes, it is ",
            shape.text());
    top[0]->reshape({shape.dim_or_1(0), shape.dim_or_1(1), shape.dim_or_1(2), shape.dim_or_1(3)});
    rows_ = shape.dim_or_1(0) * (across_channels_ ? 1 : shape.dim_or_1(1));
    cols_ = rows_ == 0 ? 0 : shape.count() / rows_;
    for (Tensor* t : {&mean_, &inv_std_, &mean_dy_y_}) t->reshape({rows_});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index cols = cols_;
    const double share = 1 / static_cast<double>(cols);
    const float* x = bottom[0]->data.read(ctx);
    float* mean = mean_.write(ctx);
    float* inv_std = inv_std_.write(ctx);
    reduce_rows(ctx, rows_, cols, 0, Sum{}, mean,
                [=] KERNEL(Index r, Index c) { return share * x[r * cols + c]; });
    if (scaled_) {
      float* variance = inv_std;
      reduce_rows(ctx, rows_, cols, 0, Sum{}, variance, [=] KERNEL(Index r, Index c) {
        const double d = static_cast<double>(x[r * cols + c]) - mean[r];
        return share * d * d;
      });
    }
    parallel_for(ctx, rows_, [=, scaled = scaled_, eps = eps_] KERNEL(Index r) {
      inv_std[r] = scaled ? 1 / (std::sqrt(inv_std[r]) + eps) : 1;
    });
    Tensor& result = top[0]->data;
    float* y = top[0] == bottom[0] ? result.update(ctx) : result.write(ctx);
    parallel_for(ctx, {1, rows_, cols}, [=] KERNEL(Index, Index r, Index c) {
      y[r * cols + c] = (x[r * cols + c] - mean[r]) * inv_std[r];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index cols = cols_;
    const double share = 1 / static_cast<double>(cols);
    const bool scaled = scaled_;
    const float* y = top[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    const float* inv_std = inv_std_.read(ctx);
    float* mean_dy = mean_.write(ctx);
    float* mean_dy_y = mean_dy_y_.write(ctx);
    reduce_rows(ctx, rows_, cols, 0, Sum{}, mean_dy,
                [=] KERNEL(Index r, Index c) { return share * dy[r * cols + c]; });
    reduce_rows(ctx, rows_, scaled ? cols : 0, 0, Sum{}, mean_dy_y, [=] KERNEL(Index r, Index c) {
      return share * dy[r * cols + c] * y[r * cols + c];
    });
    Tensor& grad = bottom[0]->grad;
    float* dx = top[0] == bottom[0] ? grad.update(ctx) : grad.write(ctx);
    parallel_for(ctx, {1, rows_, cols}, [=] KERNEL(Index, Index r, Index c) {
      const Index i = r * cols + c;
      dx[i] = (dy[i] - mean_dy[r] - y[i] * mean_dy_y[r]) * inv_std[r];
    });
  }

 private:
  bool scaled_, across_channels_;
  float eps_;
  Index rows_ = 0, cols_ = 0;  // the values of a row are normalised together
  Tensor mean_, inv_std_, mean_dy_y_;
};

DOPPIO_REGISTER_LAYER("MVN", Mvn, .in_place = true, .backward_reads_bottom = false);

}  // namespace
}  // namespace doppio
