#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Moves pixels into channels, in the order of darknet; with `reverse`, channels into pixels.
///
/// Shapes: N x C x H x W -> N x (C s^2) x (H / s) x (W / s), or N x (C / s^2) x (H s) x (W s), for
/// a stride of s. Darknet treats each item's memory as C/s^2 x (H s) x (W s) values in both cases,
/// so that without `reverse` the pixels of a channel do not stay together.
/// Throws: Error unless C is a multiple of s^2, and without `reverse` H and W of s.
/// Source: Redmon and Farhadi (2017), YOLO v2; matches darknet.
class Reorg final : public Layer {
 public:
  explicit Reorg(const LayerParameter& p)
      : stride_(p.reorg_param().stride()), reverse_(p.reorg_param().reverse()) {
    require_field(stride_ > 0, "reorg_param.stride",
                  "stride is missing or 0; it must be at least 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& in = bottom[0]->shape();
    const Index s = stride_;
    require(in.axes() == 4, "Reorg needs N x C x H x W, not ", in.text());
    require_field(s < 1 << 15 && in[1] % (s * s) == 0, "reorg_param.stride", "the ", in[1],
                  " channels of the bottom are not a multiple of the square of stride ", s);
    require_field(reverse_ || (in[2] % s == 0 && in[3] % s == 0), "reorg_param.stride",
                  "the bottom's ", in[2], " x ", in[3], " pixels are not a multiple of stride ", s);
    N_ = in[0], rows_ = in[1] / (s * s) * in[2], W_ = in[3];
    top[0]->reshape(reverse_ ? Shape{N_, in[1] / (s * s), in[2] * s, W_ * s}
                             : Shape{N_, in[1] * s * s, in[2] / s, W_ / s});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    move(ctx, reverse_, bottom[0]->data.read(ctx), top[0]->data.write(ctx));
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (wanted[0]) move(ctx, !reverse_, top[0]->grad.read(ctx), bottom[0]->grad.write(ctx));
  }

  /// Converts between a planar form (p, q, row, column) and an interleaved one (row, p, column, q),
  /// where (p, q) is the position in a block.
  void move(Context& ctx, bool interleave, const float* from, float* to) {
    const Index s = stride_, rows = rows_, W = W_;
    parallel_for(ctx, {N_ * s * s, rows, W}, [=] KERNEL(Index block, Index row, Index column) {
      const Index n = block / (s * s), p = block / s % s, q = block % s;
      const Index planar = (block * rows + row) * W + column;
      const Index interleaved = (((n * rows + row) * s + p) * W + column) * s + q;
      to[interleave ? interleaved : planar] = from[interleave ? planar : interleaved];
    });
  }

 private:
  Index stride_;
  bool reverse_;
  Index N_ = 0, rows_ = 0, W_ = 0;  // rows_: of all channels that the blocks are made of
};

DOPPIO_REGISTER_LAYER("Reorg", Reorg, .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
