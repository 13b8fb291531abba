#include <string>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/pooling/engine.hpp"
#include "layers/support/run_layout.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"
#include "math/philox.hpp"

namespace doppio {
namespace {

/// Reduces each window of a channel's map to one value. Windows have kernel_h x kernel_w pixels and
/// are stride_h and stride_w pixels apart.
///
/// Shapes: N x C x H x W -> N x C x OH x OW with OH = ceil((H + 2 pad - kernel) / stride) + 1
/// (floor with round_mode FLOOR), less one if there is padding and the last window would begin
/// beyond the map. pool MAX: the largest value. AVE: the sum divided by the window's area within
/// the padded map. STOCHASTIC: in TRAIN a value drawn with probability proportional to it, in TEST
/// sum(x^2)/sum(x); for x >= 0. A second top, MAX only, is the index h * W + w of each maximum (the
/// first of equal values). global_pooling: one window, the whole map.
///
/// Throws: Error if sizes are missing, contradict each other or do not fit the map.
/// Source: matches Caffe, which has no STOCHASTIC on the CPU and lets windows be empty.
class Pooling final : public Layer, public PoolingWork {
 public:
  explicit Pooling(const LayerParameter& layer) : name_(layer.name()), p_(layer.pooling_param()) {
    geometry = read_pooling(p_, layer.phase() == TRAIN);
    geometry.stream = stream_of(name_);
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    PoolingGeometry& g = geometry;
    const Shape& in = bottom[0]->shape();
    require(in.axes() == 4 && in[2] > 0 && in[3] > 0,
            "Pooling needs N x C x H x W with H and W at least 1, not ", in.text());
    require(g.method == PoolingMethod::average || in[2] * in[3] <= 1 << 24,
            "maps of more than 2^24 pixels: their indices do not fit a float");
    require(!ctx.accelerator() || in.count_from(1) < Index{1} << 31,
            "a GPU pools images of less than 2^31 values, not ", in.text());
    require(top.size() == 1 || g.method == PoolingMethod::max,
            "only MAX pooling has a second top, the index of each maximum");
    g.channels = in[1];
    g.reference = g.reference || ctx.reference;
    place_windows(p_, in[2], in[3], g);
    const Shape out =
        checked_shape({in[0], in[1], g.rows.windows, g.cols.windows}, "pooling_param.pad");
    for (Blob* blob : top) blob->reshape(out);
    argmax.resize(g.argmax_bytes(in[0]));
    choose_engine();
  }

  Scratch scratch() const override { return {.held = argmax.bytes()}; }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Tensor& x = bottom[0]->data;
    // The second top's indices must not be rounded.
    const bool exact = top.size() > 1;
    geometry.layout = exact ? run_layout(ctx, *bottom[0]) : current_layout(ctx, *bottom[0]);
    geometry.element = exact ? Element::f32 : current_element(ctx, *bottom[0]);
    choose_engine();
    engine_->forward(ctx, x, top[0]->data, write_argmax(ctx));
    if (!exact) return;
    const Layout layout = engine_->layout();
    pooling_indices(ctx, geometry, layout, x.shape()[0], read_argmax(ctx),
                    top[1]->data.write(ctx, layout));
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    require(geometry.method != PoolingMethod::expected,
            "STOCHASTIC pooling has a gradient in phase TRAIN only");
    engine_->backward(ctx, top[0]->grad, read_argmax(ctx), bottom[0]->grad);
  }

  Follower as_follower(Bottoms, const Blob&) override { return {.pool = this}; }

 private:
  void choose_engine() {
    engine_.choose([&](const auto& g) { return make_pooling_engine(name_, g); }, geometry);
  }

  std::string name_;
  PoolingParameter p_;
  EngineChoice<PoolingEngine, PoolingGeometry> engine_;
};

DOPPIO_REGISTER_LAYER("Pooling", Pooling, .tops = {1, 2}, .backward_reads_bottom = false,
                      .backward_reads_top = false, .splits_channels = true);

}  // namespace
}  // namespace doppio
