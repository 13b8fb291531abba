#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/broadcast.hpp"
#include "math/filler.hpp"

namespace doppio {
namespace {

/// y = x for x > 0, else a x, with a learned slope a per channel (axis 1), or one for all.
///
/// Parameter: a, C or a scalar, initially 0.25. Source: He et al. (2015); matches Caffe.
class Prelu final : public Layer {
 public:
  explicit Prelu(const LayerParameter& p) : name_(p.name()), p_(p.prelu_param()) {
    if (!p_.has_filler()) p_.mutable_filler()->set_value(0.25f);
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() >= 2, "PReLU needs a channel axis, but the bottom is ", shape.text());
    if (p_.channel_shared())
      extent_ = {1, 1, shape.count()};
    else
      extent_ = {shape[0], shape[1], shape.count_from(2)};
    if (params.empty()) {
      params.resize(1);
      params[0].reshape(p_.channel_shared() ? Shape() : Shape{shape[1]});
      fill(ctx, p_.filler(), name_, 0, params[0].data, "filler");
    }
    require(params[0].count() == extent_.C, "the bottom has ", extent_.C,
            " channels, but the slopes are for ", params[0].count());
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
    const float* a = params[0].data.read(ctx);
    float* y = in_place ? top[0]->data.update(ctx, layout) : top[0]->data.write(ctx, layout);
    if (in_place) {  // backward needs x, which is about to be overwritten
      float* kept = input_.write(ctx, layout);
      parallel_for(ctx, bottom[0]->count(), [=] KERNEL(Index i) { kept[i] = x[i]; });
    }
    for_each_in_channels(ctx, extent_,
                         [=] KERNEL(Index c, Index i) { y[i] = x[i] > 0 ? x[i] : a[c] * x[i]; });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const bool in_place = top[0] == bottom[0];
    const Layout layout = extent_.layout;
    const float* x = (in_place ? input_ : bottom[0]->data).read(ctx, layout);
    const float* dy = top[0]->grad.read(ctx, layout);
    if (params[0].needs_grad)
      sum_per_channel(ctx, extent_,
                      /*add=*/true, params[0].grad.update(ctx),
                      [=] KERNEL(Index, Index i) { return x[i] > 0 ? 0 : dy[i] * x[i]; });
    if (!wanted[0]) return;
    const float* a = params[0].data.read(ctx);
    float* dx = in_place ? bottom[0]->grad.update(ctx, layout) : bottom[0]->grad.write(ctx, layout);
    for_each_in_channels(ctx, extent_,
                         [=] KERNEL(Index c, Index i) { dx[i] = x[i] > 0 ? dy[i] : a[c] * dy[i]; });
  }

 private:
  std::string name_;
  PReLUParameter p_;
  Channels extent_;
  Tensor input_;  // in place: a copy of x
};

DOPPIO_REGISTER_LAYER("PReLU", Prelu, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
