#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// z = a x + y, with one factor a per item and channel: the end of a squeeze-and-excitation block.
///
/// Bottoms: a (N x C, or N x C x 1 x 1), x and y (N x C x ...). Source: Hu et al. (2018); as in
/// SENet's, Intel's and NVIDIA's Caffe.
class Axpy final : public Layer {
 public:
  explicit Axpy(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& a = bottom[0]->shape();
    const Shape& x = bottom[1]->shape();
    require(x.axes() >= 2, "bottom 1 needs at least the axes N x C, it is ", x.text());
    require(bottom[2]->shape() == x, "bottoms 1 and 2 need the same shape, but they are ", x.text(),
            " and ", bottom[2]->shape().text());
    require(a.axes() >= 2 && a[0] == x[0] && a[1] == x[1] && a.count_from(2) == 1,
            "bottom 0 needs one factor per item and channel, ", x[0], " x ", x[1], ", but it is ",
            a.text());
    extent_ = {1, a.count(), x.count_from(2)};
    top[0]->reshape(x);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* a = bottom[0]->data.read(ctx);
    const float* x = bottom[1]->data.read(ctx);
    const float* y = bottom[2]->data.read(ctx);
    float* z = top[0]->data.write(ctx);
    for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) { z[i] = a[c] * x[i] + y[i]; });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* dz = top[0]->grad.read(ctx);
    if (wanted[0]) {
      const float* x = bottom[1]->data.read(ctx);
      const auto product = [=] KERNEL(Index, Index i) { return static_cast<double>(dz[i]) * x[i]; };
      sum_per_channel(ctx, extent_, bottom[0]->grad.write(ctx), product);
    }
    if (wanted[1]) {
      const float* a = bottom[0]->data.read(ctx);
      float* dx = bottom[1]->grad.write(ctx);
      for_each_in_channels(ctx, extent_, [=] KERNEL(Index c, Index i) { dx[i] = a[c] * dz[i]; });
    }
    if (wanted[2]) {
      float* dy = bottom[2]->grad.write(ctx);
      parallel_for(ctx, top[0]->count(), [=] KERNEL(Index i) { dy[i] = dz[i]; });
    }
  }

 private:
  Channels extent_;  // each item's channels count as channels of their own
};

DOPPIO_REGISTER_LAYER("Axpy", Axpy, .bottoms = exactly(3), .backward_reads_top = false);

}  // namespace
}  // namespace doppio
