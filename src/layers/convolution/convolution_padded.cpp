#include <algorithm>

#include "core/layout.hpp"
#include "doppio/error.hpp"
#include "layers/convolution/engine.hpp"

namespace doppio {

namespace {

Index whole_blocks(Index channels) {
  const Index B = channel_block();
  return (channels + B - 1) / B * B;
}

/// Returns the same convolution with channels rounded up to whole blocks.
ConvolutionGeometry filled_up(const ConvolutionGeometry& g) {
  ConvolutionGeometry filled = g;
  filled.channels = whole_blocks(g.channels);
  filled.num_output = whole_blocks(g.num_output);
  return filled;
}

/// Winograd's algorithm on copies of the maps, zero-padded to whole blocks of channels.
class PaddedConvolution final : public ConvolutionEngine {
 public:
  explicit PaddedConvolution(const ConvolutionGeometry& g)
      : g_(g), engine_(make_winograd_convolution(filled_up(g))) {
    const ConvolutionGeometry filled = filled_up(g);
    const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
    x_.reshape({g.batch, filled.channels, h.in, w.in});
    y_.reshape({g.batch, filled.num_output, h.out, w.out});
    weight_.reshape(filled.weight_shape());
    bias_.reshape({filled.num_output});
  }

  void forward(Context& ctx, const Tensor& x, const Tensor& weight, const Tensor* bias,
               Tensor& y) override {
    fill_up(ctx, x, x_);
    if (!caches_ || filled_version_ != weight.version()) fill_up_weight(ctx, weight);
    if (bias) {
      float* to = bias_.write(ctx);
      std::fill_n(to, bias_.count(), 0.0f);
      std::copy_n(bias->read(ctx), bias->count(), to);
    }
    engine_->forward(ctx, x_, weight_, bias ? &bias_ : nullptr, y_);
    take_out(ctx, y_, y);
  }

  void backward_data(Context& ctx, const Tensor& dy, const Tensor& weight, Tensor& dx) override {
    fill_up(ctx, dy, dy_like());
    fill_up_weight(ctx, weight);
    engine_->backward_data(ctx, dy_, weight_, x_);
    take_out(ctx, x_, dx);
  }

  void backward_params(Context& ctx, const Tensor& x, const Tensor& dy, Tensor* dweight,
                       Tensor* dbias) override {
    fill_up(ctx, x, x_);
    fill_up(ctx, dy, dy_like());
    for (Tensor* t : {&weight_, &bias_}) std::fill_n(t->write(ctx), t->count(), 0.0f);
    filled_version_ = 0;
    engine_->backward_params(ctx, x_, dy_, &weight_, dbias ? &bias_ : nullptr);
    if (dweight) {
      const float* from = weight_.read(ctx);
      float* to = dweight->update(ctx);
      for_each_weight([&](Index at, Index filled) { to[at] += from[filled]; });
    }
    if (dbias) {
      const float* from = bias_.read(ctx);
      float* to = dbias->update(ctx);
      for (Index o = 0; o < g_.num_output; ++o) to[o] += from[o];
    }
  }

  std::size_t fuse(Followers followers, const Tensor&, bool backward) override {
    return engine_->fuse(followers, y_, backward);
  }

  bool cache_weights() override { return caches_ = engine_->cache_weights(); }
  Index cached_weights() const override { return engine_->cached_weights(); }

 private:
  Tensor& dy_like() {
    dy_.reshape(y_.shape());
    return dy_;
  }

  static void fill_up(const Context& ctx, const Tensor& from, Tensor& to) {
    nchw_to_blocked(tensor_dims(from.shape()), from.read(ctx), to.write(ctx, Layout::nchw_blocked));
  }
  static void take_out(const Context& ctx, const Tensor& from, Tensor& to) {
    blocked_to_nchw(tensor_dims(to.shape()), from.read(ctx, Layout::nchw_blocked), to.write(ctx));
  }

  void fill_up_weight(const Context& ctx, const Tensor& weight) {
    const float* from = weight.read(ctx);
    float* to = weight_.write(ctx);
    std::fill_n(to, weight_.count(), 0.0f);
    for_each_weight([&](Index at, Index filled) { to[filled] = from[at]; });
    filled_version_ = weight.version();
  }

  /// Calls f(index in our weights, index in the padded weights) for each weight.
  template <class F>
  void for_each_weight(F f) const {
    const Index C = g_.channels, kernel = g_.windows.kernel_count(), filled = weight_.shape()[1];
    for (Index o = 0; o < g_.num_output; ++o)
      for (Index i = 0; i < C * kernel; ++i) f(o * C * kernel + i, o * filled * kernel + i);
  }

  ConvolutionGeometry g_;
  std::unique_ptr<ConvolutionEngine> engine_;
  bool caches_ = false;
  std::uint64_t filled_version_ = 0;   // of the weights in weight_
  Tensor x_, y_, dy_, weight_, bias_;  // padded; x_, weight_ and bias_ hold gradients as well
};

}  // namespace

std::string why_not_padded_convolution(const ConvolutionGeometry& g) {
  if (!g.four_axes || g.group != 1) return "it supports only N x C x H x W in one group";
  if (g.channels % channel_block() == 0 && g.num_output % channel_block() == 0)
    return "all channels fill whole blocks";
  return why_not_winograd_convolution(filled_up(g));
}

std::string why_slower_padded_convolution(const ConvolutionGeometry& g) {
  if (2 * g.channels < whole_blocks(g.channels)) return "most channels would be zeros";
  return why_slower_winograd_convolution(filled_up(g));
}

std::unique_ptr<ConvolutionEngine> make_padded_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<PaddedConvolution>(geometry);
}

}  // namespace doppio
