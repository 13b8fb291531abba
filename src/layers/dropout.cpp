#include "core/philox.hpp"
#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// to[i] = from[i] * scale, or 0 if draw i of `random` is below `threshold`.
void keep_or_drop(Context& ctx, Index n, Random random, std::uint32_t threshold, float scale,
                  const float* from, float* to) {
  parallel_for(
      ctx, (n + 3) / 4,
      [=] KERNEL(Index block) {
    std::uint32_t bits[4];
    random.block(static_cast<std::uint64_t>(block), bits);
    for (int j = 0; j < 4; ++j) {
      const Index i = 4 * block + j;
      if (i < n) to[i] = bits[j] < threshold ? 0 : from[i] * scale;
    }
      },
      16);  // four elements, and the dice cost more than they do
}

void copy(Context& ctx, Index n, const float* from, float* to) {
  parallel_for(ctx, n, [=] KERNEL(Index i) { to[i] = from[i]; });
}

/// Drops each value with probability dropout_ratio, so that units do not come to rely on each
/// other.
///
/// Shapes: any, in place or not. TRAIN: y = 0 with probability dropout_ratio (0 to below 1, default
/// 0.5), else x / (1 - dropout_ratio). TEST: y = x. What is dropped depends on the seed, the
/// layer's name and the number of the pass alone.
///
/// Throws: Error if dropout_ratio is out of range.
/// Source: Srivastava et al., "Dropout" (2014); scaling in TRAIN matches Caffe.
class Dropout final : public Layer {
 public:
  explicit Dropout(const LayerParameter& layer)
      : train_(layer.phase() == TRAIN), random_{.stream = stream_of(layer.name())} {
    const float ratio = layer.dropout_param().dropout_ratio();
    require_field(ratio >= 0 && ratio < 1, "dropout_param.dropout_ratio",
                  "dropout_ratio must be at least 0 and less than 1, not ", ratio);
    threshold_ = static_cast<std::uint32_t>(ratio * 4294967296.0);
    scale_ = 1 / (1 - ratio);
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    if (top[0] != bottom[0]) top[0]->reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    random_.seed = ctx.seed;
    random_.pass = ctx.pass;
    apply(ctx, bottom[0]->data, top[0]->data);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (wanted[0]) apply(ctx, top[0]->grad, bottom[0]->grad);
  }

 private:
  /// Both directions: drawing again is cheaper than keeping a mask.
  void apply(Context& ctx, const Tensor& from, Tensor& to) const {
    const bool in_place = &from == &to;
    if (!train_ && in_place) return;
    const float* x = from.read(ctx);
    float* y = in_place ? to.update(ctx) : to.write(ctx);
    if (train_)
      keep_or_drop(ctx, from.count(), random_, threshold_, scale_, x, y);
    else
      copy(ctx, from.count(), x, y);
  }

  bool train_;
  Random random_;  // as in the forward pass under way
  std::uint32_t threshold_;
  float scale_;
};

DOPPIO_REGISTER_LAYER("Dropout", Dropout, .in_place = true, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
