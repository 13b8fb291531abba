#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Enlarges maps. One bottom: every pixel is repeated scale x scale times. Two bottoms (max
/// unpooling): every pixel is written to the index h * OW + w that the second bottom, the second
/// top of a MAX Pooling layer, gives for it; the other pixels are 0.
///
/// Shapes: N x C x H x W -> N x C x (H scale) x (W scale), and with two bottoms as set in
/// upsample_param. Of pixels with equal index the last counts. Throws: Error if the bottoms' sizes
/// differ, if one bottom has fields for two, or if an index is outside the map. Source: the
/// Upsample layers of darknet's converters, and of SegNet (Badrinarayanan et al. 2015).
class Upsample final : public Layer {
 public:
  explicit Upsample(const LayerParameter& p) : p_(p.upsample_param()) {
    require_field(p_.scale() >= 1 && p_.scale() <= static_cast<float>(kMaxSize) &&
                      p_.scale() == std::trunc(p_.scale()),
                  "upsample_param.scale", "scale must be a whole number from 1 to ", kMaxSize,
                  ", it is ", p_.scale());
    require_size(p_.scale_h(), "upsample_param.scale_h");
    require_size(p_.scale_w(), "upsample_param.scale_w");
    require_field(p_.has_upsample_h() == p_.has_upsample_w(), "upsample_param",
                  "upsample_h and upsample_w must be given together");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& in = bottom[0]->shape();
    const bool unpool = bottom.size() == 2;
    require_field(unpool || !sizes_given(), "upsample_param",
                  "with one bottom only scale is allowed; the other fields are for two bottoms");
    require(in.axes() == 4, "Upsample needs N x C x H x W, not ", in.text());
    if (unpool)
      require(bottom[1]->shape() == in,
              "bottom 1 must give a place for each value of bottom 0, so ", "be ", in.text(),
              "; it is ", bottom[1]->shape().text());
    scale_ = unpool && !p_.has_scale() ? 2 : static_cast<Index>(p_.scale());
    const Shape out = top_shape(in, unpool);
    require_field(out.count_from(2) > 0, "upsample_param", "no pixel is left: the top would be ",
                  out.text());
    top[0]->reshape(out);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& out = top[0]->shape();
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    if (bottom.size() == 1) {
      const Index H = out[2], W = out[3], s = scale_;
      parallel_for(ctx, {out[0] * out[1], H, W}, [=] KERNEL(Index p, Index h, Index w) {
        y[(p * H + h) * W + w] = x[(p * (H / s) + h / s) * (W / s) + w / s];
      });
      return;
    }
    const Index large = out.count_from(2), small = bottom[0]->shape().count_from(2);
    require_indices(bottom[1]->data, large, "place");
    const float* place = bottom[1]->data.read(ctx);
    parallel_for(ctx, out.count_before(2), large, [=] KERNEL(Index p) {
      for (Index i = 0; i < large; ++i) y[p * large + i] = 0;
      for (Index i = p * small; i < (p + 1) * small; ++i)
        y[p * large + static_cast<Index>(place[i])] = x[i];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Shape& in = bottom[0]->shape();
    const Index large = top[0]->shape().count_from(2), small = in.count_from(2);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    if (bottom.size() == 2) {
      const float* place = bottom[1]->data.read(ctx);
      parallel_for(ctx, {1, in.count_before(2), small}, [=] KERNEL(Index, Index p, Index i) {
        dx[p * small + i] = dy[p * large + static_cast<Index>(place[p * small + i])];
      });
      return;
    }
    const Index H = in[2], W = in[3], s = scale_;
    parallel_for(ctx, {in[0] * in[1], H, W}, s * s, [=] KERNEL(Index p, Index h, Index w) {
      const float* square = dy + (p * H + h) * s * W * s + w * s;
      float sum = 0;
      for (Index i = 0; i < s; ++i)
        for (Index j = 0; j < s; ++j) sum += square[i * W * s + j];
      dx[(p * H + h) * W + w] = sum;
    });
  }

 private:
  bool sizes_given() const {
    return p_.has_scale_h() || p_.has_scale_w() || p_.has_upsample_h() || p_.has_upsample_w() ||
           p_.has_pad_out_h() || p_.has_pad_out_w();
  }

  Shape top_shape(const Shape& in, bool unpool) const {
    if (unpool && p_.has_upsample_h())
      return checked_shape({in[0], in[1], p_.upsample_h(), p_.upsample_w()},
                           "upsample_param.upsample_h");
    const auto size = [&](Index axis, bool has, Index scale, bool padded) {
      return std::max<Index>(0, in[axis] * (has ? scale : scale_) - (padded ? 1 : 0));
    };
    return checked_shape({in[0], in[1], size(2, p_.has_scale_h(), p_.scale_h(), p_.pad_out_h()),
                          size(3, p_.has_scale_w(), p_.scale_w(), p_.pad_out_w())},
                         p_.has_scale_h() ? "upsample_param.scale_h" : "upsample_param.scale");
  }

  UpsampleParameter p_;
  Index scale_ = 1;
};

DOPPIO_REGISTER_LAYER("Upsample", Upsample, .bottoms = {1, 2}, .no_grad_bottoms = 0b10,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
