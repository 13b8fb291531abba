#include "layers/engines/convolution.hpp"

#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "math/filler.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// The engine that the user insists on, empty if any will do.
const char* forced_engine(ConvolutionParameter::Engine engine) {
  switch (engine) {
    case ConvolutionParameter::CAFFE:
      return "gemm";
    case ConvolutionParameter::WINOGRAD:
      return "winograd";
    case ConvolutionParameter::ONEDNN:
      return "onednn";
    default:
      return "";
  }
}

/// y[n, o, s] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, element k of window s].
///
/// Axes before `axis` are the batch, those behind it are spatial, any number of them; output sizes
/// round down. With groups, output group g sees input group g alone. Several bottoms of one shape
/// share the weights. Params: weight (num_output x channels / group x kernel...), bias
/// (num_output). Source: matches Caffe.
class Convolution final : public Layer {
 public:
  explicit Convolution(const LayerParameter& p) : name_(p.name()), p_(p.convolution_param()) {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    for (std::size_t i = 1; i < bottom.size(); ++i)
      require_field(bottom[i]->shape() == shape, "bottom", "bottom ", i, " has shape ",
                    bottom[i]->shape().text(), " but bottom 0 has ", shape.text(),
                    "; they share the weights and must be of one shape");
    if (!engine_ || shape != shape_) prepare(ctx, shape);
    for (Blob* y : top) y->reshape(top_shape_);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    for (std::size_t i = 0; i < bottom.size(); ++i)
      engine_->forward(ctx, bottom[i]->data, params[0].data,
                       p_.bias_term() ? &params[1].data : nullptr, top[i]->data);
  }

  Scratch scratch() const override {
    return {.workspace = engine_->workspace() * static_cast<Index>(sizeof(float))};
  }

  bool fuse_relu(Tops top, bool backward) override {
    return top.size() == 1 && engine_->fuse_relu(top[0]->data, backward);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    Tensor* dweight = params[0].needs_grad ? &params[0].grad : nullptr;
    Tensor* dbias = p_.bias_term() && params[1].needs_grad ? &params[1].grad : nullptr;
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      if (dweight || dbias)
        engine_->backward_params(ctx, bottom[i]->data, top[i]->grad, dweight, dbias);
      if (wanted[i]) engine_->backward_data(ctx, top[i]->grad, params[0].data, bottom[i]->grad);
    }
  }

 private:
  void prepare(Context& ctx, const Shape& shape) {
    const ConvolutionGeometry g = read_convolution(p_, shape);
    const Index axis = shape.canonical(p_.axis());
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + axis);
    dims.push_back(g.num_output);
    for (Index i = 0; i < g.windows.axes; ++i) dims.push_back(g.windows.axis[i].out);
    top_shape_ = Shape(std::move(dims));
    make_params(ctx, g);
    engine_ = make_convolution_engine(name_, g, forced_engine(p_.engine()));
    shape_ = shape;
  }

  void make_params(const Context& ctx, const ConvolutionGeometry& g) {
    const Shape weight_shape = g.weight_shape();
    if (!params.empty()) {
      require_field(params[0].shape() == weight_shape, "bottom",
                    "the bottom now needs weights of shape ", weight_shape.text(),
                    " but they were made as ", params[0].shape().text(),
                    "; only batch and spatial sizes may change");
      return;
    }
    params.resize(g.bias ? 2 : 1);
    params[0].reshape(weight_shape);
    fill(ctx, p_.weight_filler(), name_, 0, params[0].data);
    if (!g.bias) return;
    params[1].reshape({g.num_output});
    fill(ctx, p_.bias_filler(), name_, 1, params[1].data);
  }

  std::string name_;
  ConvolutionParameter p_;
  Shape shape_, top_shape_;  // of every bottom and top
  std::unique_ptr<ConvolutionEngine> engine_;
};

DOPPIO_REGISTER_LAYER("Convolution", Convolution, .bottoms = at_least(1), .tops = at_least(1),
                      .one_top_per_bottom = true, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
