#include "layers/convolution/convolution.hpp"

#include "doppio/extend/registry.hpp"
#include "layers/normalization/channel_affine.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y[n, o, s] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, element k of window s].
///
/// Axes before `axis` are the batch, those after it are spatial, any number of them; output sizes
/// round down. With groups, output group g reads only input group g. Several bottoms of one shape
/// share the weights. Params: weight (num_output x channels / group x kernel...), bias
/// (num_output). The depthwise types have one group per channel and ignore `group`.
/// Source: matches Caffe; DepthwiseConvolution and ConvolutionDepthwise are names in its forks.
class Convolution final : public Layer {
 public:
  explicit Convolution(const LayerParameter& p)
      : name_(p.name()),
        p_(p.convolution_param()),
        precision_(read_precision(p)),
        depthwise_(p.type() != "Convolution") {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require_one_shape(bottom);
    if (!engine_ || shape != shape_ || inference != geometry_.inference) prepare(ctx, shape);
    for (Blob* y : top) y->reshape(top_shape_);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    if (inference) engine_->cache_weights();
    const Tensor *weight = &params[0].data, *bias = p_.bias_term() ? &params[1].data : nullptr;
    if (norm_) {
      folded_.update(*weight, bias, *norm_, scale_);
      weight = &folded_.weight();
      bias = &folded_.bias();
    }
    for (std::size_t i = 0; i < bottom.size(); ++i)
      engine_->forward(ctx, bottom[i]->data, *weight, bias, top[i]->data);
  }

  Scratch scratch() const override {
    if (inference) engine_->cache_weights();
    constexpr Index kBytes = sizeof(float);
    const Index folded = norm_ ? params[0].data.bytes() + geometry_.num_output * kBytes : 0;
    return {.held = engine_->cached_weights() * kBytes + folded,
            .workspace = engine_->workspace() * kBytes};
  }

  /// Folds a norm and its Scale into weights and bias; the engine fuses the rest.
  std::size_t fuse(Followers followers, Tops top, bool backward) override {
    const bool had_norm = norm_ != nullptr;
    std::size_t taken = 0;
    norm_ = nullptr;
    scale_ = nullptr;
    if (!followers.empty() && followers[0].norm && can_fold(*followers[0].norm)) {
      norm_ = followers[0].norm;
      ++taken;
      if (taken < followers.size()) scale_ = followers[taken].scale;
      if (scale_) ++taken;
    }
    if (had_norm != (norm_ != nullptr)) make_engine();
    return taken + engine_->fuse(followers.subspan(taken), top[0]->data, backward);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    Tensor* dweight = params[0].needs_grad ? &params[0].grad : nullptr;
    Tensor* dbias = p_.bias_term() && params[1].needs_grad ? &params[1].grad : nullptr;
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      const bool added = engine_->begin_backward(ctx, top[i]->grad, dbias);
      Tensor* const rest = added ? nullptr : dbias;
      if (dweight || rest)
        engine_->backward_params(ctx, bottom[i]->data, top[i]->grad, dweight, rest);
      if (wanted[i]) engine_->backward_data(ctx, top[i]->grad, params[0].data, bottom[i]->grad);
    }
  }

 private:
  void prepare(Context& ctx, const Shape& shape) {
    if (depthwise_) p_.set_group(static_cast<std::uint32_t>(shape[shape.canonical(p_.axis())]));
    ConvolutionGeometry g = read_convolution(p_, shape);
    g.precision = supported_precision(ctx, precision_, name_);
    const Index axis = shape.canonical(p_.axis());
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + axis);
    dims.push_back(g.num_output);
    for (Index i = 0; i < g.windows.axes; ++i) dims.push_back(g.windows.axis[i].out);
    top_shape_ = checked_shape(std::move(dims), "convolution_param.num_output");
    make_convolution_params(ctx, p_, name_, g.weight_shape(), g.num_output, params);
    g.inference = inference;
    geometry_ = g;
    forced_ = forced_engine(ctx, p_);
    make_engine();
    shape_ = shape;
  }

  /// Creates an engine without fused layers. A folded norm adds a bias.
  void make_engine() {
    geometry_.bias = p_.bias_term() || norm_;
    engine_ = make_convolution_engine(name_, geometry_, forced_);
  }

  bool can_fold(const ChannelAffine& norm) const {
    const std::vector<const Tensor*> sources = norm.affine_sources();
    return shape_.canonical(p_.axis()) == 1 && !sources.empty() &&
           sources[0]->count() == geometry_.num_output;
  }

  std::string name_;
  ConvolutionParameter p_;
  Precision precision_;
  bool depthwise_;
  Shape shape_, top_shape_;  // of every bottom and top
  ConvolutionGeometry geometry_;
  const char* forced_ = "";  // the engine that the user requires
  std::unique_ptr<ConvolutionEngine> engine_;
  const ChannelAffine* norm_ = nullptr;  // folded into the weights, as is the Scale after it
  const Layer* scale_ = nullptr;
  FoldedWeights folded_;
};

using DepthwiseConvolution = Convolution;
using ConvolutionDepthwise = Convolution;

DOPPIO_REGISTER_LAYER("Convolution", Convolution, .bottoms = at_least(1), .tops = at_least(1),
                      .one_top_per_bottom = true, .backward_reads_top = false);
DOPPIO_REGISTER_LAYER("DepthwiseConvolution", DepthwiseConvolution, .bottoms = at_least(1),
                      .tops = at_least(1), .one_top_per_bottom = true, .backward_reads_top = false);
DOPPIO_REGISTER_LAYER("ConvolutionDepthwise", ConvolutionDepthwise, .bottoms = at_least(1),
                      .tops = at_least(1), .one_top_per_bottom = true, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
