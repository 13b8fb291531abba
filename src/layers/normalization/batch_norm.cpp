#include <limits>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/normalization/channel_affine.hpp"
#include "layers/support/run_layout.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// y = (x - mean) / sqrt(variance + eps) for each channel (axis 1; one channel if there is one
/// axis).
///
/// TRAIN uses the statistics of the batch and adds them to the parameters, TEST uses the stored
/// ones. Parameters: decayed sums of means (C) and of unbiased variances (C), and of their weights
/// (1), by which both are divided when used. There is no learned scale; a Scale layer usually
/// follows. This layer can fuse that Scale and the ReLU after it. Source: Ioffe and Szegedy (2015);
/// matches Caffe.
class BatchNorm final : public Layer, public ChannelAffine {
 public:
  explicit BatchNorm(const LayerParameter& p)
      : eps_(p.batch_norm_param().eps()),
        decay_(p.batch_norm_param().moving_average_fraction()),
        use_stored_(p.batch_norm_param().has_use_global_stats()
                        ? p.batch_norm_param().use_global_stats()
                        : p.phase() == TEST) {
    require_field(eps_ >= 0, "batch_norm_param.eps", "eps ", eps_, " is negative");
    require_field(decay_ >= 0 && decay_ <= 1, "batch_norm_param.moving_average_fraction",
                  "moving_average_fraction ", decay_, " is not between 0 and 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() > 0, "a scalar has no channels to normalize");
    const bool flat = shape.axes() == 1;
    extent_ = {shape[0], flat ? 1 : shape[1], flat ? 1 : shape.count_from(2)};
    if (params.empty()) {
      params.resize(3);
      params[0].reshape({extent_.C});
      params[1].reshape({extent_.C});
      params[2].reshape({1});
    }
    require(params[0].count() == extent_.C, "the bottom has ", extent_.C,
            " channels, but the statistics are for ", params[0].count());
    if (top[0] != bottom[0]) top[0]->reshape(shape);
    for (Tensor* t : {&mean_, &inv_std_, &mean_dy_, &mean_dy_y_}) t->reshape({extent_.C});
    if (!use_stored_) normalized_.reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    if (bottom[0]->count() == 0) return;
    extent_.layout = run_layout(ctx, *bottom[0]);
    const Layout layout = extent_.layout;
    if (use_stored_)
      recall_statistics(ctx);
    else
      take_statistics(ctx, bottom[0]->data);
    const float* x = bottom[0]->data.read(ctx, layout);
    const float* mean = mean_.read(ctx);
    const float* inv_std = inv_std_.read(ctx);
    Tensor& result = top[0]->data;
    float* y = top[0] == bottom[0] ? result.update(ctx, layout) : result.write(ctx, layout);
    // Backward needs y, but later layers often overwrite it.
    float* kept = use_stored_ ? y : normalized_.write(ctx, layout);
    if (!scale_) {
      for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) {
        y[i] = kept[i] = (x[i] - mean[c]) * inv_std[c];
      });
      return;
    }
    const float* w = scale_->params[0].data.read(ctx);
    const float* b = scale_->params[1].data.read(ctx);
    for_each_in_channels(ctx, extent_, [=, least = least_] KERNEL(Index c, Index i) {
      const float normalized = (x[i] - mean[c]) * inv_std[c];
      kept[i] = normalized;
      const float value = w[c] * normalized + b[c];
      y[i] = value < least ? least : value;
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0] || bottom[0]->count() == 0) return;
    const Layout layout = extent_.layout;
    const float* dy = top[0]->grad.read(ctx, layout);
    Tensor& grad = bottom[0]->grad;
    float* dx = top[0] == bottom[0] ? grad.update(ctx, layout) : grad.write(ctx, layout);
    const float* inv_std = inv_std_.read(ctx);
    if (use_stored_) {
      for_each_in_channels(ctx, extent_,
                           [=] KERNEL(Index c, Index i) { dx[i] = dy[i] * inv_std[c]; });
      return;
    }
    const float* y = normalized_.read(ctx, layout);
    float* mean_dy = mean_dy_.write(ctx);
    float* mean_dy_y = mean_dy_y_.write(ctx);
    if (scale_) return backward_scaled(ctx, dy, y, dx);
    const double share = 1.0 / static_cast<double>(per_channel());
    sum_both_per_channel(
        ctx, extent_, mean_dy, mean_dy_y, [=] KERNEL(Index, Index i) { return share * dy[i]; },
        [=] KERNEL(Index, Index i) { return share * dy[i] * y[i]; });
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) {
      dx[i] = (dy[i] - mean_dy[c] - y[i] * mean_dy_y[c]) * inv_std[c];
    });
  }

  /// The same with the fused Scale, whose parameters get their gradients, and ReLU.
  void backward_scaled(Context& ctx, const float* dy, const float* y, float* dx) {
    float* sum_dz = mean_dy_.write(ctx);
    float* sum_dz_y = mean_dy_y_.write(ctx);
    const float* inv_std = inv_std_.read(ctx);
    const float* w = scale_->params[0].data.read(ctx);
    const float* b = scale_->params[1].data.read(ctx);
    const auto dz = [=, least = least_] KERNEL(Index c, Index i) {
      const float g = dy[i];
      return w[c] * y[i] + b[c] > least ? g : 0;
    };
    sum_both_per_channel(
        ctx, extent_, sum_dz, sum_dz_y,
        [=] KERNEL(Index c, Index i) { return static_cast<double>(dz(c, i)); },
        [=] KERNEL(Index c, Index i) { return static_cast<double>(dz(c, i)) * y[i]; });
    for (const int k : {0, 1}) {
      if (!scale_->params[k].needs_grad) continue;
      const float* sum = k == 0 ? sum_dz_y : sum_dz;
      float* grad = scale_->params[k].grad.update(ctx);
      parallel_for(ctx, extent_.C, [=] KERNEL(Index c) { grad[c] += sum[c]; });
    }
    const float share = 1 / static_cast<float>(per_channel());
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) {
      dx[i] = (dz(c, i) - share * sum_dz[c] - y[i] * (share * sum_dz_y[c])) * (w[c] * inv_std[c]);
    });
  }

  Follower as_follower(Bottoms, const Blob&) override { return {.norm = this}; }

  /// Fuses a Scale, and a ReLU after that.
  std::size_t fuse(Followers followers, Tops, bool backward) override {
    Layer* const scale = followers.empty() ? nullptr : followers[0].scale;
    const bool fits = scale && scale->params[0].count() == extent_.C && !(use_stored_ && backward);
    const bool relu = fits && followers.size() > 1 && followers[1].relu;
    scale_ = fits ? scale : nullptr;
    least_ = relu ? 0 : -std::numeric_limits<float>::infinity();
    return std::size_t{fits} + std::size_t{relu};
  }

  std::vector<const Tensor*> affine_sources() const override {
    if (!use_stored_) return {};
    return {&params[0].data, &params[1].data, &params[2].data};
  }

  void affine(const Layer* scale, float* factor, float* offset) const override {
    const float *means = params[0].data.read_host(), *variances = params[1].data.read_host();
    const float* w = scale ? scale->params[0].data.read_host() : nullptr;
    const float* b = scale ? scale->params[1].data.read_host() : nullptr;
    const float weight = params[2].data.read_host()[0], share = weight == 0 ? 0 : 1 / weight;
    for (Index c = 0; c < extent_.C; ++c) {
      factor[c] = (w ? w[c] : 1) / std::sqrt(variances[c] * share + eps_);
      offset[c] = (b ? b[c] : 0) - factor[c] * (means[c] * share);
    }
  }

  /// Computes mean_ and inv_std_ from the stored sums.
  void recall_statistics(Context& ctx) {
    const float* means = params[0].data.read(ctx);
    const float* variances = params[1].data.read(ctx);
    const float* weights = params[2].data.read(ctx);
    float* mean = mean_.write(ctx);
    float* inv_std = inv_std_.write(ctx);
    parallel_for(ctx, extent_.C, [=, eps = eps_] KERNEL(Index c) {
      const float factor = weights[0] == 0 ? 0 : 1 / weights[0];
      mean[c] = means[c] * factor;
      inv_std[c] = 1 / std::sqrt(variances[c] * factor + eps);
    });
  }

  /// Computes mean_ and inv_std_ from the batch `data` and updates the stored sums.
  void take_statistics(Context& ctx, const Tensor& data) {
    const float* x = data.read(ctx, extent_.layout);
    float* mean = mean_.write(ctx);
    float* inv_std = inv_std_.write(ctx);
    float* variance = inv_std;
    moments_per_channel(ctx, extent_, x, mean, variance);

    float* means = params[0].data.update(ctx);
    float* variances = params[1].data.update(ctx);
    float* weights = params[2].data.update(ctx);
    const auto m = static_cast<double>(per_channel());
    const float unbias = m > 1 ? static_cast<float>(m / (m - 1)) : 1;
    parallel_for(ctx, extent_.C, [=, decay = decay_, eps = eps_] KERNEL(Index c) {
      means[c] = decay * means[c] + mean[c];
      variances[c] = decay * variances[c] + unbias * variance[c];
      if (c == 0) weights[0] = decay * weights[0] + 1;
      inv_std[c] = 1 / std::sqrt(variance[c] + eps);
    });
  }

 private:
  Index per_channel() const { return extent_.N * extent_.S; }

  float eps_, decay_;
  bool use_stored_;
  Channels extent_;
  Layer* scale_ = nullptr;                                 // the fused Scale, or null
  float least_ = -std::numeric_limits<float>::infinity();  // minimum of the top: 0 with a ReLU
  Tensor mean_, inv_std_;                                  // of the last forward pass
  Tensor normalized_;                                      // its result
  Tensor mean_dy_, mean_dy_y_;                             // per channel, scratch of backward
};

DOPPIO_REGISTER_LAYER("BatchNorm", BatchNorm, .in_place = true, .backward_reads_bottom = false,
                      .backward_reads_top = false, .splits_channels = true, .params_learn = false);

}  // namespace
}  // namespace doppio
