#include <algorithm>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/normalization/lrn_pooling_engine.hpp"
#include "layers/support/run_layout.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Local response normalization: scales a value down where its neighbours are large.
///
/// Shapes: N x C x H x W in and out. y = x * (k + alpha * m)^(-beta), where m is the mean of x^2
/// over local_size (odd, default 5) adjacent channels (norm_region ACROSS_CHANNELS) or a square of
/// local_size x local_size pixels (WITHIN_CHANNEL, where k is 1); values outside the blob count as
/// 0. Across channels, `group` equal groups of channels are normalized apart: no window reaches
/// into another group. Defaults: alpha 1, beta 0.75, k 1, group 1.
///
/// Fuses a Pooling layer after it if an engine supports both.
///
/// Throws: Error if local_size is even, the bottom does not have 4 axes or group does not divide
/// the channels. Source: Krizhevsky et al. (2012), whose alpha is alpha / local_size here; matches
/// Caffe, which has no groups.
class Lrn final : public Layer {
 public:
  explicit Lrn(const LayerParameter& layer)
      : name_(layer.name()), size_(layer.lrn_param().local_size()) {
    const LRNParameter& p = layer.lrn_param();
    require_field(size_ % 2 == 1, "lrn_param.local_size", "local_size must be odd, not ", size_);
    const auto size = static_cast<float>(size_);
    g_.across = p.norm_region() == LRNParameter::ACROSS_CHANNELS;
    require_field(p.group() > 0, "lrn_param.group", "group must be at least 1");
    if (g_.across) g_.group = p.group();
    g_.reference = p.engine() == LRNParameter::GEMM;
    g_.formula = {.k = g_.across ? p.k() : 1,
                  .alpha = p.alpha() / (g_.across ? size : size * size),
                  .beta = p.beta()};
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() == 4, "LRN needs a bottom of 4 axes (N x C x H x W), not ", shape.text());
    require(!ctx.accelerator() || shape.count_from(1) < Index{1} << 31,
            "a GPU normalizes images of less than 2^31 values, not ", shape.text());
    require_field(shape[1] % g_.group == 0, "lrn_param.group", "the ", shape[1],
                  " channels cannot be divided into ", g_.group, " groups of equal size");
    top[0]->reshape(shape);
    images_ = shape[0];
    g_.channels = shape[1];
    g_.height = shape[2];
    g_.width = shape[3];
    const Index longest = *std::max_element(shape.dims().begin(), shape.dims().end());
    g_.formula.reach = std::min(size_ / 2, longest);
    g_.reference = g_.reference || ctx.reference;
    if (!engine_.get()) g_.layout = likely_layout(ctx, *bottom[0]);
    choose_engine();
  }

  Scratch scratch() const override {
    const Index floats = pool_ ? fused_->workspace(images_) : engine_->workspace(images_);
    return {.workspace = floats * static_cast<Index>(sizeof(float))};
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    g_.layout = current_layout(ctx, *bottom[0]);
    g_.element = current_element(ctx, *bottom[0]);
    choose_engine();
    if (!pool_) return engine_->forward(ctx, bottom[0]->data, top[0]->data);
    choose_fused();
    fused_->forward(ctx, bottom[0]->data, top[0]->data, pool_->write_argmax(ctx));
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Tensor &x = bottom[0]->data, &dy = top[0]->grad;
    if (pool_)
      fused_->backward(ctx, x, dy, pool_->read_argmax(ctx), bottom[0]->grad);
    else
      engine_->backward(ctx, x, dy, bottom[0]->grad);
  }

  std::size_t fuse(Followers followers, Tops, bool) override {
    pool_ = followers.empty() ? nullptr : followers[0].pool;
    if (pool_) choose_fused();
    if (!fused_.get()) pool_ = nullptr;
    return pool_ ? 1 : 0;
  }

 private:
  void choose_engine() {
    engine_.choose([&](const auto& g) { return make_lrn_engine(name_, g); }, g_);
  }
  void choose_fused() {
    fused_.choose([&](const auto&... g) { return make_lrn_pooling_engine(name_, g...); }, g_,
                  pool_->geometry);
  }

  std::string name_;
  Index size_, images_ = 0;
  LrnGeometry g_;
  PoolingWork* pool_ = nullptr;  // the fused pooling
  EngineChoice<LrnEngine, LrnGeometry> engine_;
  EngineChoice<LrnPoolingEngine, LrnGeometry, PoolingGeometry> fused_;
};

DOPPIO_REGISTER_LAYER("LRN", Lrn, .backward_reads_top = false, .fuses_pooling = true,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
