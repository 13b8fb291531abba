#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/batch_draws.hpp"
#include "math/kernel.hpp"
#include "math/philox.hpp"

namespace doppio {
namespace {

/// Blocks of four draws that one work item computes: on the CPU enough to fill vector registers.
constexpr Index kBlocks = kDevice == Device::cuda ? 1 : 16;

/// to[i] = from[i] * scale, or 0 if the draw of value i in the whole batch is below `threshold`.
void keep_or_drop(Context& ctx, const BatchDraws& numbers, Random random, std::uint32_t threshold,
                  float scale, const float* from, float* to) {
  constexpr Index kDraws = 4 * kBlocks;
  // An item may begin within a block, so its values may need one more. A draw costs more than four
  // elements do.
  const Index chunks = (numbers.values + (numbers.stride > 0 ? 3 : 0) + kDraws - 1) / kDraws;
  parallel_for(ctx, {1, numbers.items, chunks}, 4 * kDraws,
               [=] KERNEL(Index, Index item, Index chunk) {
    const Random now = random.now();
    const Index first = numbers.first(item), block = first / 4 + chunk * kBlocks;
    std::uint32_t draws[kBlocks][4];
    for (Index b = 0; b < kBlocks; ++b) now.block(static_cast<std::uint64_t>(block + b), draws[b]);
    // Draw k is of value `skipped` + k of the item.
    const Index skipped = 4 * block - first, rest = numbers.values - skipped;
    const Index begin = skipped < 0 ? -skipped : 0, end = rest < kDraws ? rest : kDraws;
    const std::uint32_t* draw = draws[0];
    const float* x = from + item * numbers.values + skipped;
    float* y = to + item * numbers.values + skipped;
    for (Index k = begin; k < end; ++k) {
      const float kept = x[k] * scale;
      y[k] = draw[k] < threshold ? 0 : kept;
    }
  });
}

void multiply(Context& ctx, Index n, const float* from, float scale, float* to) {
  parallel_for(ctx, n, [=] KERNEL(Index i) { to[i] = from[i] * scale; });
}

/// Drops each value with probability dropout_ratio, so that units do not co-adapt.
///
/// Shapes: any, in place or not. TRAIN: y = 0 with probability dropout_ratio (0 to below 1, default
/// 0.5), else x / (1 - dropout_ratio). TEST: y = x. With scale_train false TRAIN keeps x as it is
/// and TEST multiplies by 1 - dropout_ratio; with sample_weights_test TEST drops as TRAIN does. The
/// dropped values depend only on the seed, the layer's name, the number of the pass and their place
/// in the whole batch, of which the first axis is the items.
///
/// Throws: Error if dropout_ratio is out of range.
/// Source: Srivastava et al., "Dropout" (2014); scaling in TRAIN matches Caffe, the other fields
/// are SegNet's.
class Dropout final : public Layer {
 public:
  explicit Dropout(const LayerParameter& layer)
      : drops_(layer.phase() == TRAIN || layer.dropout_param().sample_weights_test()),
        random_{.stream = stream_of(layer.name())} {
    const float ratio = layer.dropout_param().dropout_ratio();
    require_field(ratio >= 0 && ratio < 1, "dropout_param.dropout_ratio",
                  "dropout_ratio must be at least 0 and less than 1, not ", ratio);
    threshold_ = static_cast<std::uint32_t>(ratio * 4294967296.0);
    const bool scale_kept = layer.dropout_param().scale_train();
    if (drops_)
      scale_ = scale_kept ? 1 / (1 - ratio) : 1;
    else
      scale_ = scale_kept ? 1 : 1 - ratio;
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    if (top[0] != bottom[0]) top[0]->reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    random_.seed = ctx.seed;
    random_.pass = ctx.pass;
    random_.pass_at = ctx.pass_at;
    shard_ = ctx.shard;
    part_ = ctx.part;
    apply(ctx, bottom[0]->data, top[0]->data);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (wanted[0]) apply(ctx, top[0]->grad, bottom[0]->grad);
  }

 private:
  /// Both directions: redrawing is cheaper than storing a mask.
  void apply(Context& ctx, const Tensor& from, Tensor& to) const {
    const bool in_place = &from == &to;
    if (!drops_ && scale_ == 1 && in_place) return;
    const float* x = from.read(ctx);
    float* y = in_place ? to.update(ctx) : to.write(ctx);
    if (drops_)
      keep_or_drop(ctx, BatchDraws(shard_, part_, from.shape()), random_, threshold_, scale_, x, y);
    else
      multiply(ctx, from.count(), x, scale_, y);
  }

  bool drops_;
  Random random_;  // of the current forward pass
  Shard shard_;    // likewise
  ChannelPart part_;
  std::uint32_t threshold_;
  float scale_;
};

DOPPIO_REGISTER_LAYER("Dropout", Dropout, .in_place = true, .backward_reads_bottom = false,
                      .backward_reads_top = false, .splits_channels = true);

}  // namespace
}  // namespace doppio
