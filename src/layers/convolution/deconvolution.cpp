#include "doppio/extend/registry.hpp"
#include "layers/convolution/convolution.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// Transposed convolution: every input value adds its multiple of a kernel to the output.
///
/// Shapes: N x C x in... -> N x num_output x out..., out = stride * (in - 1) + dilation * (kernel -
/// 1) + 1 - 2 * pad. Forward runs the backward pass of Convolution's engines on values, and
/// backward their forward pass on gradients. Params: weight (C x num_output / group x kernel...),
/// bias (num_output). Source: matches Caffe.
class Deconvolution final : public Layer {
 public:
  explicit Deconvolution(const LayerParameter& p)
      : name_(p.name()), p_(p.convolution_param()), precision_(read_precision(p)) {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require_one_shape(bottom);
    if (!engine_ || shape != shape_) prepare(ctx, shape);
    for (Blob* y : top) y->reshape(top_shape_);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      engine_->backward_data(ctx, bottom[i]->data, params[0].data, top[i]->data);
      if (!p_.bias_term()) continue;
      const float* bias = params[1].data.read(ctx);
      float* y = top[i]->data.update(ctx);
      for_each_in_channels(ctx, channels_, [=] KERNEL(Index c, Index k) { y[k] += bias[c]; });
    }
  }

  Scratch scratch() const override {
    return {.workspace = engine_->workspace() * static_cast<Index>(sizeof(float))};
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      if (p_.bias_term() && params[1].needs_grad) {
        const float* dy = top[i]->grad.read(ctx);
        sum_per_channel(ctx, channels_,
                        /*add=*/true, params[1].grad.update(ctx),
                        [=] KERNEL(Index, Index k) { return dy[k]; });
      }
      if (params[0].needs_grad)
        engine_->backward_params(ctx, top[i]->grad, bottom[i]->data, &params[0].grad, nullptr);
      if (wanted[i]) engine_->forward(ctx, top[i]->grad, params[0].data, nullptr, bottom[i]->grad);
    }
  }

 private:
  void prepare(Context& ctx, const Shape& shape) {
    ConvolutionGeometry g = read_deconvolution(p_, shape);
    g.precision = supported_precision(ctx, precision_, name_);
    const Index axis = shape.canonical(p_.axis());
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + axis);
    dims.push_back(g.channels);
    for (Index i = 0; i < g.windows.axes; ++i) dims.push_back(g.windows.axis[i].in);
    top_shape_ = checked_shape(std::move(dims), "convolution_param.num_output");
    channels_ = {g.batch, g.channels, g.windows.in_count()};
    make_convolution_params(ctx, p_, name_, g.weight_shape(), g.channels, params);
    engine_ = make_convolution_engine(name_, g, forced_engine(ctx, p_));
    shape_ = shape;
  }

  std::string name_;
  ConvolutionParameter p_;
  Precision precision_;
  Shape shape_, top_shape_;                    // of every bottom and top
  Channels channels_;                          // of a top
  std::unique_ptr<ConvolutionEngine> engine_;  // of the convolution from top to bottom
};

DOPPIO_REGISTER_LAYER("Deconvolution", Deconvolution, .bottoms = at_least(1), .tops = at_least(1),
                      .one_top_per_bottom = true, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
