#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Interleaves the channels of `group` groups, so that the next grouped convolution mixes them:
/// channel c of the top is channel (c mod group) * (C / group) + c / group of the bottom.
///
/// Throws: Error unless the channels (axis 1) are a multiple of `group`.
/// Source: Zhang et al. (2018), ShuffleNet.
class ShuffleChannel final : public Layer {
 public:
  explicit ShuffleChannel(const LayerParameter& p) : group_(p.shuffle_channel_param().group()) {
    require_field(group_ > 0, "shuffle_channel_param.group", "group must be at least 1, it is 0");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() >= 2, "the bottom needs at least the axes N x C, it is ", shape.text());
    require_field(shape[1] % group_ == 0, "shuffle_channel_param.group", "the ", shape[1],
                  " channels of the bottom cannot be split into ", group_, " groups");
    top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    interleave(ctx, bottom[0]->shape(), group_, bottom[0]->data.read(ctx), top[0]->data.write(ctx));
  }

  /// The inverse interleaves C / group groups.
  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const Shape& shape = bottom[0]->shape();
    if (wanted[0])
      interleave(ctx, shape, std::max<Index>(1, shape[1] / group_), top[0]->grad.read(ctx),
                 bottom[0]->grad.write(ctx));
  }

  static void interleave(Context& ctx, const Shape& shape, Index groups, const float* from,
                         float* to) {
    const Index C = shape[1], S = shape.count_from(2), per_group = C / groups;
    parallel_for(ctx, {shape[0], C, S}, [=] KERNEL(Index n, Index c, Index s) {
      const Index source = c % groups * per_group + c / groups;
      to[(n * C + c) * S + s] = from[(n * C + source) * S + s];
    });
  }

 private:
  Index group_;
};

DOPPIO_REGISTER_LAYER("ShuffleChannel", ShuffleChannel, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
