#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/normalization/bn_form.hpp"
#include "layers/support/run_layout.hpp"
#include "math/filler.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// y = scale (x - mean) / sqrt(variance + eps) + shift for each channel (axis 1), in two forms.
///
/// SegNet's form has the params scale and shift (1 x C x 1 x 1 each) and uses the statistics of the
/// batch, also in TEST, or with bn_mode INFERENCE mean 0 and deviation 1. The other form has two
/// more params, mean and variance. It uses them in TEST or if frozen, else the statistics of the
/// batch, which also update them: old = momentum old + (1 - momentum) new. The variance is
/// initially 0, or 1 if frozen. Params get no gradient in TEST or if frozen.
/// Source: Badrinarayanan et al. (2015), SegNet; Wang et al. (2016), TSN, and Zhao et al. (2017),
/// PSPNet.
class Bn final : public Layer {
 public:
  explicit Bn(const LayerParameter& layer)
      : name_(layer.name()),
        scale_filler_(layer.bn_param().has_slope_filler() ? layer.bn_param().slope_filler()
                                                          : layer.bn_param().scale_filler()),
        shift_filler_(layer.bn_param().has_bias_filler() ? layer.bn_param().bias_filler()
                                                         : layer.bn_param().shift_filler()),
        stores_(bn_stores_statistics(layer)),
        frozen_(layer.bn_param().frozen()),
        train_(layer.phase() == TRAIN) {
    const BNParameter& p = layer.bn_param();
    fixed_ = stores_ ? frozen_ || !train_ : p.bn_mode() == BNParameter::INFERENCE;
    eps_ = stores_ ? p.eps() : p.var_eps();
    momentum_ = p.moving_average() && !p.has_momentum() ? 1 - p.decay() : p.momentum();
    if (!p.has_slope_filler() && !p.has_scale_filler()) scale_filler_.set_value(1);
    require_field(eps_ > 0, stores_ ? "bn_param.eps" : "bn_param.var_eps",
                  "eps must be positive, it is ", eps_);
    require_field(momentum_ >= 0 && momentum_ <= 1, "bn_param.momentum", "momentum ", momentum_,
                  " is not between 0 and 1");
    require_field(p.axis() == 1, "bn_param.axis", "axis is ", p.axis(),
                  "; only channels on axis 1 are supported");
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() >= 2, "the bottom needs at least the axes N x C, it is ", shape.text());
    extent_ = {shape[0], shape[1], shape.count_from(2)};
    if (params.empty()) {
      params.resize(stores_ ? 4 : 2);
      for (Blob& p : params) p.reshape({1, extent_.C, 1, 1});
      fill(ctx, scale_filler_, name_, 0, params[0].data, "scale_filler");
      fill(ctx, shift_filler_, name_, 1, params[1].data, "shift_filler");
      if (frozen_) std::fill_n(params[3].data.write_host(), extent_.C, 1.0f);
    }
    require(params[0].count() == extent_.C, "the bottom has ", extent_.C,
            " channels, but the scale is for ", params[0].count());
    if (top[0] != bottom[0]) top[0]->reshape(shape);
    for (Tensor* t : {&mean_, &inv_std_, &sum_dy_, &sum_dy_x_}) t->reshape({extent_.C});
    if (train_) normalized_.reshape(shape);
  }

  Scratch scratch() const override { return {.held = normalized_.bytes()}; }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    if (bottom[0]->count() == 0) return;
    extent_.layout = run_layout(ctx, *bottom[0]);
    const float* x = bottom[0]->data.read(ctx, extent_.layout);
    find_statistics(ctx, x);
    const float* mean = mean_.read(ctx);
    const float* inv_std = inv_std_.read(ctx);
    const float* scale = params[0].data.read(ctx);
    const float* shift = params[1].data.read(ctx);
    Tensor& result = top[0]->data;
    float* y = top[0] == bottom[0] ? result.update(ctx, extent_.layout)
                                   : result.write(ctx, extent_.layout);
    float* kept = train_ ? normalized_.write(ctx, extent_.layout) : y;
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) {
      const float normalized = (x[i] - mean[c]) * inv_std[c];
      kept[i] = normalized;
      y[i] = scale[c] * normalized + shift[c];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (bottom[0]->count() == 0) return;
    const Layout layout = extent_.layout;
    const float* dy = top[0]->grad.read(ctx, layout);
    const float* scale = params[0].data.read(ctx);
    const float* inv_std = inv_std_.read(ctx);
    if (train_ && !frozen_) sum_gradients(ctx, dy);
    if (!wanted[0]) return;
    Tensor& grad = bottom[0]->grad;
    float* dx = top[0] == bottom[0] ? grad.update(ctx, layout) : grad.write(ctx, layout);
    if (fixed_) {
      for_each_in_channels(
          ctx, extent_, [=] KERNEL(Index c, Index i) { dx[i] = dy[i] * (scale[c] * inv_std[c]); });
      return;
    }
    require(train_, "BN with the statistics of the batch has a gradient in phase TRAIN only");
    const float* normalized = normalized_.read(ctx, layout);
    const float* sum_dy = sum_dy_.read(ctx);
    const float* sum_dy_x = sum_dy_x_.read(ctx);
    const float share = 1 / static_cast<float>(extent_.N * extent_.S);
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) {
      dx[i] = (dy[i] - share * sum_dy[c] - normalized[i] * (share * sum_dy_x[c])) *
              (scale[c] * inv_std[c]);
    });
  }

  /// Computes mean_ and inv_std_; batch statistics also update the params that store them.
  void find_statistics(Context& ctx, const float* x) {
    float* mean = mean_.write(ctx);
    float* inv_std = inv_std_.write(ctx);
    if (fixed_) return recall_statistics(ctx, mean, inv_std);
    moments_per_channel(ctx, extent_, x, mean, inv_std);
    float* means = stores_ ? params[2].data.update(ctx) : nullptr;
    float* variances = stores_ ? params[3].data.update(ctx) : nullptr;
    const float news = 1 - momentum_;
    parallel_for(ctx, extent_.C, [=, eps = eps_] KERNEL(Index c) {
      const float variance = inv_std[c];
      inv_std[c] = 1 / std::sqrt(variance + eps);
      if (!means) return;
      means[c] += news * (mean[c] - means[c]);
      variances[c] += news * (variance - variances[c]);
    });
  }

  /// Reads the stored statistics, or sets mean 0 and deviation 1 if there are none.
  void recall_statistics(Context& ctx, float* mean, float* inv_std) {
    const float* means = stores_ ? params[2].data.read(ctx) : nullptr;
    const float* variances = stores_ ? params[3].data.read(ctx) : nullptr;
    parallel_for(ctx, extent_.C, [=, eps = eps_] KERNEL(Index c) {
      mean[c] = means ? means[c] : 0;
      inv_std[c] = means ? 1 / std::sqrt(variances[c] + eps) : 1;
    });
  }

  /// Computes sum_dy_ and sum_dy_x_ per channel, the gradients of shift and scale.
  void sum_gradients(Context& ctx, const float* dy) {
    const float* normalized = normalized_.read(ctx, extent_.layout);
    float* sums[] = {sum_dy_x_.write(ctx), sum_dy_.write(ctx)};
    sum_both_per_channel(
        ctx, extent_, sums[1], sums[0],
        [=] KERNEL(Index, Index i) { return static_cast<double>(dy[i]); },
        [=] KERNEL(Index, Index i) { return static_cast<double>(dy[i]) * normalized[i]; });
    for (std::size_t k = 0; k < 2; ++k) {
      if (!params[k].needs_grad) continue;
      const float* sum = sums[k];
      float* grad = params[k].grad.update(ctx);
      parallel_for(ctx, extent_.C, [=] KERNEL(Index c) { grad[c] += sum[c]; });
    }
  }

 private:
  std::string name_;
  FillerParameter scale_filler_, shift_filler_;
  bool stores_, frozen_, train_;
  bool fixed_ = false;  // the statistics are not those of the batch
  float eps_ = 0, momentum_ = 0;
  Channels extent_;
  Tensor mean_, inv_std_;     // of the last forward pass
  Tensor normalized_;         // TRAIN: its (x - mean) / std
  Tensor sum_dy_, sum_dy_x_;  // per channel, of backward
};

DOPPIO_REGISTER_LAYER("BN", Bn, .in_place = true, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
