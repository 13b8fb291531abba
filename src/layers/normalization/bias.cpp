#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/broadcast.hpp"
#include "math/filler.hpp"

namespace doppio {
namespace {

/// y = x + b, with b broadcast over the axes that it does not span.
///
/// b is the second bottom, whose axes match those of x starting at `axis`, or a parameter that
/// spans num_axes of these. Source: matches Caffe.
class Bias final : public Layer {
 public:
  explicit Bias(const LayerParameter& p) : name_(p.name()), p_(p.bias_param()) {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    if (bottom.size() == 1 && params.empty()) {
      params.resize(1);
      params[0].reshape(spanned_shape(shape, p_.axis(), p_.num_axes()));
      fill(ctx, p_.filler(), name_, 0, params[0].data, "filler");
    }
    extent_ = broadcast(shape, bias(bottom).shape(), p_.axis());
    if (top[0] != bottom[0]) top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    extent_.layout = run_layout(ctx, *bottom[0], extent_);
    const Layout layout = extent_.layout;
    const float* x = bottom[0]->data.read(ctx, layout);
    const float* b = bias(bottom).data.read(ctx);
    Tensor& result = top[0]->data;
    float* y = top[0] == bottom[0] ? result.update(ctx, layout) : result.write(ctx, layout);
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) { y[i] = x[i] + b[c]; });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* dy = top[0]->grad.read(ctx, extent_.layout);
    const auto sum_dy = [=] KERNEL(Index, Index i) { return dy[i]; };
    if (bottom.size() == 2) {
      if (wanted[1]) sum_per_channel(ctx, extent_, bottom[1]->grad.write(ctx), sum_dy);
    } else if (params[0].needs_grad) {
      sum_per_channel(ctx, extent_, /*add=*/true, params[0].grad.update(ctx), sum_dy);
    }
    if (!wanted[0] || top[0] == bottom[0]) return;
    float* dx = bottom[0]->grad.write(ctx, extent_.layout);
    parallel_for(ctx, bottom[0]->count(), [=] KERNEL(Index i) { dx[i] = dy[i]; });
  }

 private:
  Blob& bias(Bottoms bottom) { return bottom.size() == 2 ? *bottom[1] : params[0]; }

  std::string name_;
  BiasParameter p_;
  Channels extent_;
};

DOPPIO_REGISTER_LAYER("Bias", Bias, .bottoms = {1, 2}, .in_place = true,
                      .backward_reads_bottom = false, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
