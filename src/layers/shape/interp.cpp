#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Linear interpolation along one axis, with the first and last pixels aligned.
struct Resampling {
  Index in = 1, out = 1;
  float step = 0;  // input pixels per output pixel

  Resampling() = default;
  Resampling(Index from, Index to)
      : in(from),
        out(to),
        step(to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0) {}

  HOST_DEVICE Index first(Index o) const {
    const auto i = static_cast<Index>(step * static_cast<float>(o));
    return i < in ? i : in - 1;
  }
  HOST_DEVICE Index second(Index o) const {
    const Index i = first(o);
    return i + 1 < in ? i + 1 : i;
  }
  /// Weight of the second neighbour; that of the first is 1 minus this.
  HOST_DEVICE float weight(Index o) const {
    return step * static_cast<float>(o) - static_cast<float>(first(o));
  }
  /// Weight of pixel i in output pixel o.
  HOST_DEVICE float share(Index o, Index i) const {
    return (first(o) == i ? 1 - weight(o) : 0) + (second(o) == i ? weight(o) : 0);
  }
  /// Pixel i has weight 0 outside the outputs begin(i) .. end(i)-1.
  HOST_DEVICE Index begin(Index i) const {
    const float o = step > 0 ? static_cast<float>(i - 1) / step - 1 : 0;
    return o > 0 ? static_cast<Index>(o) : 0;
  }
  HOST_DEVICE Index end(Index i) const {
    const float o = step > 0 ? static_cast<float>(i + 1) / step + 2 : static_cast<float>(out);
    return o < static_cast<float>(out) ? static_cast<Index>(o) : out;
  }
};

/// Bilinear interpolation of each map to another size, with aligned corner pixels.
///
/// Shapes: N x C x H x W -> N x C x OH x OW. With in = H + pad_beg + pad_end (both <= 0: pixels
/// cropped), OH comes from in -> (in - 1) / shrink_factor + 1 -> in + (in - 1) (zoom_factor - 1),
/// or is height if that is given along with none or both of the factors; the same for OW.
/// Throws: Error if the sizes are missing or leave no pixel. Source: matches the Interp layer of
/// DeepLab and PSPNet.
class Interp final : public Layer {
 public:
  explicit Interp(const LayerParameter& p) : p_(p.interp_param()) {
    require_field(p_.pad_beg() <= 0 && p_.pad_end() <= 0, "interp_param",
                  "pad_beg and pad_end only cut off: they must not be positive");
    require_size(p_.zoom_factor(), "interp_param.zoom_factor", 1);
    require_size(p_.shrink_factor(), "interp_param.shrink_factor", 1);
    require_field(p_.has_height() == p_.has_width(), "interp_param",
                  "height and width must be given together");
    require_field(p_.interp_type() == "bilinear", "interp_param.interp_type", "interp_type ",
                  p_.interp_type(), " is not supported, only bilinear");
    require_field(p_.has_height() || p_.has_zoom_factor() || p_.has_shrink_factor(), "interp_param",
                  "the output size is missing: give height and width, zoom_factor or "
                  "shrink_factor");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& in = bottom[0]->shape();
    require(in.axes() == 4, "Interp needs N x C x H x W, not ", in.text());
    rows_ = resampling(in[2], p_.height());
    cols_ = resampling(in[3], p_.width());
    top[0]->reshape(
        checked_shape({in[0], in[1], rows_.out, cols_.out},
                      p_.has_zoom_factor() ? "interp_param.zoom_factor" : "interp_param.height"));
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index H = bottom[0]->shape()[2], W = bottom[0]->shape()[3], cut = -Index{p_.pad_beg()};
    const float* x = bottom[0]->data.read(ctx) + cut * W + cut;
    float* y = top[0]->data.write(ctx);
    parallel_for(ctx, {planes(bottom), rows_.out, cols_.out}, 4,
                 [=, rows = rows_, cols = cols_] KERNEL(Index p, Index oh, Index ow) {
      const float* upper = x + (p * H + rows.first(oh)) * W;
      const float* lower = x + (p * H + rows.second(oh)) * W;
      const Index left = cols.first(ow), right = cols.second(ow);
      const float down = rows.weight(oh), along = cols.weight(ow);
      y[(p * rows.out + oh) * cols.out + ow] =
          (1 - down) * ((1 - along) * upper[left] + along * upper[right]) +
          down * ((1 - along) * lower[left] + along * lower[right]);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index H = bottom[0]->shape()[2], W = bottom[0]->shape()[3], cut = -Index{p_.pad_beg()};
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, {planes(bottom), H, W}, 4,
                 [=, rows = rows_, cols = cols_] KERNEL(Index p, Index h, Index w) {
      const Index i = h - cut, j = w - cut;
      float sum = 0;
      if (i >= 0 && j >= 0 && i < rows.in && j < cols.in)
        for (Index oh = rows.begin(i); oh < rows.end(i); ++oh) {
          const float* row = dy + (p * rows.out + oh) * cols.out;
          float along = 0;
          for (Index ow = cols.begin(j); ow < cols.end(j); ++ow)
            along += cols.share(ow, j) * row[ow];
          sum += rows.share(oh, i) * along;
        }
      dx[(p * H + h) * W + w] = sum;
    });
  }

 private:
  static Index planes(Bottoms bottom) { return bottom[0]->shape().count_before(2); }

  Resampling resampling(Index size, Index wanted) const {
    const Index in = size + p_.pad_beg() + p_.pad_end();
    require_field(in > 0, "interp_param", "pad_beg and pad_end leave nothing of ", size, " pixels");
    const Index shrunk = (in - 1) / p_.shrink_factor() + 1;
    const bool by_size = p_.has_height() && p_.has_zoom_factor() == p_.has_shrink_factor();
    const Index out = by_size ? wanted : shrunk + (shrunk - 1) * (Index{p_.zoom_factor()} - 1);
    require_field(out > 0, "interp_param", "height and width must be at least 1");
    return {in, out};
  }

  InterpParameter p_;
  Resampling rows_, cols_;
};

DOPPIO_REGISTER_LAYER("Interp", Interp, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
