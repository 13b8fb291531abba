#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/broadcast.hpp"
#include "math/filler.hpp"

namespace doppio {
namespace {

/// y = w x, or w x + b, with w and b broadcast over the axes that they do not span.
///
/// w is the second bottom, whose axes match those of x starting at `axis`, or a parameter that
/// spans num_axes of these, initially 1. b is a parameter of w's shape. Source: matches Caffe.
class Scale final : public Layer {
 public:
  explicit Scale(const LayerParameter& p) : name_(p.name()), p_(p.scale_param()) {
    if (!p_.has_filler()) p_.mutable_filler()->set_value(1);
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const bool learned = bottom.size() == 1;
    if (params.empty()) {
      params.resize((learned ? 1 : 0) + (p_.bias_term() ? 1 : 0));
      if (learned) {
        params[0].reshape(spanned_shape(shape, p_.axis(), p_.num_axes()));
        fill(ctx, p_.filler(), name_, 0, params[0].data, "filler");
      }
      if (p_.bias_term()) {
        params.back().reshape(scale(bottom).shape());
        fill(ctx, p_.bias_filler(), name_, 1, params.back().data, "bias_filler");
      }
    }
    extent_ = broadcast(shape, scale(bottom).shape(), p_.axis());
    if (p_.bias_term())
      require(params.back().shape() == scale(bottom).shape(), "bottom 1 changed its shape to ",
              scale(bottom).shape().text(), ", but the bias keeps ", params.back().shape().text());
    if (top[0] == bottom[0])
      input_.reshape(shape);
    else
      top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const bool in_place = top[0] == bottom[0];
    extent_.layout = run_layout(ctx, *bottom[0], extent_);
    const Layout layout = extent_.layout;
    const float* x = bottom[0]->data.read(ctx, layout);
    const float* w = scale(bottom).data.read(ctx);
    float* y = in_place ? top[0]->data.update(ctx, layout) : top[0]->data.write(ctx, layout);
    if (in_place) {  // the gradient of w needs x, which is about to be overwritten
      float* kept = input_.write(ctx, layout);
      parallel_for(ctx, bottom[0]->count(), [=] KERNEL(Index i) { kept[i] = x[i]; });
    }
    if (p_.bias_term()) {
      const float* b = params.back().data.read(ctx);
      for_each_in_channels(ctx, extent_,
                           [=] KERNEL(Index c, Index i) { y[i] = w[c] * x[i] + b[c]; });
    } else {
      for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) { y[i] = w[c] * x[i]; });
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const bool in_place = top[0] == bottom[0];
    const Layout layout = extent_.layout;
    const float* dy = top[0]->grad.read(ctx, layout);
    const float* x = (in_place ? input_ : bottom[0]->data).read(ctx, layout);
    const auto dw = [=] KERNEL(Index, Index i) { return static_cast<double>(dy[i]) * x[i]; };
    if (bottom.size() == 2) {
      if (wanted[1]) sum_per_channel(ctx, extent_, bottom[1]->grad.write(ctx), dw);
    } else if (params[0].needs_grad) {
      sum_per_channel(ctx, extent_, /*add=*/true, params[0].grad.update(ctx), dw);
    }
    if (p_.bias_term() && params.back().needs_grad)
      sum_per_channel(ctx, extent_,
                      /*add=*/true, params.back().grad.update(ctx),
                      [=] KERNEL(Index, Index i) { return dy[i]; });
    if (!wanted[0]) return;
    const float* w = scale(bottom).data.read(ctx);
    float* dx = in_place ? bottom[0]->grad.update(ctx, layout) : bottom[0]->grad.write(ctx, layout);
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) { dx[i] = w[c] * dy[i]; });
  }

  Follower as_follower(Bottoms bottom, const Blob&) override {
    const bool per_channel = bottom.size() == 1 && p_.axis() == 1 && p_.num_axes() == 1;
    return {.scale = per_channel && p_.bias_term() ? this : nullptr};
  }

 private:
  Blob& scale(Bottoms bottom) { return bottom.size() == 2 ? *bottom[1] : params[0]; }

  std::string name_;
  ScaleParameter p_;
  Channels extent_;
  Tensor input_;  // in place: a copy of x
};

DOPPIO_REGISTER_LAYER("Scale", Scale, .bottoms = {1, 2}, .in_place = true,
                      .backward_reads_top = false, .splits_channels = true);

}  // namespace
}  // namespace doppio
