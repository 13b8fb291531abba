#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/filler.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// y = scale x / sqrt(sum of x^2 + eps), the sum over the channels at each position, or with
/// across_spatial over the whole item; channels are axis 1.
///
/// Param: scale, a scalar if channel_shared, else C; initially 1. Throws: Error if eps is negative.
/// Source: Liu et al. (2015), ParseNet; matches SSD's Caffe.
class Normalize final : public Layer {
 public:
  explicit Normalize(const LayerParameter& p) : name_(p.name()), p_(p.norm_param()) {
    require_field(p_.eps() >= 0, "norm_param.eps", "eps ", p_.eps(), " is negative");
    if (!p_.has_scale_filler()) p_.mutable_scale_filler()->set_value(1);
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() >= 2, "the bottom needs at least the axes N x C, it is ", shape.text());
    extent_ = {shape[0], shape[1], shape.count_from(2)};
    if (params.empty()) {
      params.resize(1);
      params[0].reshape(p_.channel_shared() ? Shape() : Shape{extent_.C});
      fill(ctx, p_.scale_filler(), name_, 0, params[0].data, "scale_filler");
    }
    require(p_.channel_shared() || params[0].count() == extent_.C, "the bottom has ", extent_.C,
            " channels, but the scale is for ", params[0].count());
    const Index groups = p_.across_spatial() ? extent_.N : extent_.N * extent_.S;
    inv_norm_.reshape({groups});
    dot_.reshape({groups});
    planes_.reshape({extent_.N * extent_.C});
    top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    const float* scale = params[0].data.read(ctx);
    float* inv_norm = inv_norm_.write(ctx);
    float* y = top[0]->data.write(ctx);
    sum_per_group(ctx, inv_norm, [=] KERNEL(Index i) { return static_cast<double>(x[i]) * x[i]; });
    parallel_for(ctx, inv_norm_.count(), [=, eps = p_.eps()] KERNEL(Index g) {
      inv_norm[g] = 1 / std::sqrt(inv_norm[g] + eps);
    });
    const Index step = scale_step();
    for_each(ctx, [=] KERNEL(Index g, Index c, Index i) {
      y[i] = scale[c * step] * x[i] * inv_norm[g];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* x = bottom[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    const float* inv_norm = inv_norm_.read(ctx);
    const float* scale = params[0].data.read(ctx);
    const Index C = extent_.C, S = extent_.S, step = scale_step();
    if (params[0].needs_grad) {
      const Index per_item = p_.across_spatial() ? 1 : S,
                  per_position = p_.across_spatial() ? 0 : 1;
      float* planes =
          planes_.write(ctx);  // one by one: a sum over all planes would spill registers on a GPU
      reduce_rows(ctx, extent_.N * C, S, 0, Sum{}, planes, [=] KERNEL(Index p, Index s) {
        const Index g = p / C * per_item + s * per_position;
        return static_cast<double>(dy[p * S + s]) * x[p * S + s] * inv_norm[g];
      });
      const Channels all{1, 1, extent_.N * C}, each{extent_.N, C, 1};
      sum_per_channel(ctx, p_.channel_shared() ? all : each, /*add=*/true,
                      params[0].grad.update(ctx), [=] KERNEL(Index, Index i) { return planes[i]; });
    }
    if (!wanted[0]) return;
    float* dot = dot_.write(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    sum_per_group(ctx, dot, [=] KERNEL(Index i) {
      return static_cast<double>(dy[i]) * scale[i / S % C * step] * x[i];
    });
    for_each(ctx, [=] KERNEL(Index g, Index c, Index i) {
      const float inv = inv_norm[g];
      dx[i] = inv * (scale[c * step] * dy[i] - x[i] * (inv * inv * dot[g]));
    });
  }

  /// Calls f(group, channel, element) for every element.
  template <class F>
  void for_each(Context& ctx, F f) {
    const Index C = extent_.C, S = extent_.S;
    const Index per_item = p_.across_spatial() ? 1 : S, per_position = p_.across_spatial() ? 0 : 1;
    parallel_for(ctx, {extent_.N, C, S}, [=] KERNEL(Index n, Index c, Index s) {
      f(n * per_item + s * per_position, c, (n * C + c) * S + s);
    });
  }

  /// sums[g] = sum of f(i) over the elements i of group g.
  template <class F>
  void sum_per_group(Context& ctx, float* sums, F f) {
    const Index C = extent_.C, S = extent_.S;
    if (p_.across_spatial())
      reduce_rows(ctx, extent_.N, C * S, 0, Sum{}, sums,
                  [=] KERNEL(Index n, Index k) { return f(n * C * S + k); });
    else
      reduce_rows(ctx, extent_.N * S, C, 0, Sum{}, sums,
                  [=] KERNEL(Index g, Index c) { return f((g / S * C + c) * S + g % S); });
  }

 private:
  Index scale_step() const { return p_.channel_shared() ? 0 : 1; }

  std::string name_;
  NormalizeParameter p_;
  Channels extent_;
  Tensor inv_norm_, dot_;  // per group of values normalised together
  Tensor planes_;          // of the scale's gradient, per channel of an item
};

DOPPIO_REGISTER_LAYER("Normalize", Normalize, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
