#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/loss/smooth_l1.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// The bottoms' values.
struct Pointers {
  const float *a, *b;
  const float *w_in = nullptr, *w_out = nullptr;

  HOST_DEVICE float inner(Index i) const { return w_in ? w_in[i] : 1; }
  HOST_DEVICE float outer(Index i) const { return w_out ? w_out[i] : 1; }
  HOST_DEVICE float difference(Index i) const { return inner(i) * (a[i] - b[i]); }
};

/// y = sum of w_out f(w_in (a - b)) / N, with f(d) = sigma^2 d^2 / 2 for |d| < 1 / sigma^2, else
/// |d| - 1 / (2 sigma^2); N is the size of the first axis; a scalar.
///
/// Bottoms: a and b, of one shape, then the weights w_in and w_out of the same shape, each 1 if not
/// given. Source: Girshick (2015), Fast R-CNN; matches its Caffe, and SSD's.
class SmoothL1Loss final : public Layer {
 public:
  explicit SmoothL1Loss(const LayerParameter& p) : f_{p.smooth_l1_loss_param().sigma()} {
    require_field(f_.sigma > 0, "smooth_l1_loss_param.sigma", "sigma must be positive, it is ",
                  f_.sigma);
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& a = bottom[0]->shape();
    require(a.axes() > 0, "the bottoms need an axis for the items, they are scalars");
    for (std::size_t k = 1; k < bottom.size(); ++k)
      require(bottom[k]->count() == a.count() && bottom[k]->shape().dim_or_1(0) == a[0],
              "all bottoms need the same first axis and number of elements, but bottom 0 is ",
              a.text(), " and bottom ", k, " is ", bottom[k]->shape().text());
    top[0]->reshape(Shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Pointers p = pointers(ctx, bottom);
    const double share = 1.0 / static_cast<double>(bottom[0]->shape()[0]);
    reduce_rows(ctx, 1, bottom[0]->count(), 0, Sum{}, top[0]->data.write(ctx),
                [=, f = f_] KERNEL(Index, Index i) {
      return share * p.outer(i) * f.value(p.difference(i));
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const Pointers p = pointers(ctx, bottom);
    const float* dy = top[0]->grad.read(ctx);
    for (std::size_t k = 0; k < 2; ++k) {
      if (!wanted[k]) continue;
      const float share = (k == 0 ? 1.0f : -1.0f) / static_cast<float>(bottom[0]->shape()[0]);
      float* dx = bottom[k]->grad.write(ctx);
      parallel_for(ctx, bottom[k]->count(), [=, f = f_] KERNEL(Index i) {
        dx[i] = dy[0] * share * p.outer(i) * p.inner(i) * f.slope(p.difference(i));
      });
    }
  }

 private:
  static Pointers pointers(Context& ctx, Bottoms bottom) {
    Pointers p{bottom[0]->data.read(ctx), bottom[1]->data.read(ctx)};
    if (bottom.size() > 2) p.w_in = bottom[2]->data.read(ctx);
    if (bottom.size() > 3) p.w_out = bottom[3]->data.read(ctx);
    return p;
  }

  SmoothL1 f_;
};

DOPPIO_REGISTER_LAYER("SmoothL1Loss", SmoothL1Loss, .bottoms = {2, 4}, .is_loss = true,
                      .no_grad_bottoms = 0b1100, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
