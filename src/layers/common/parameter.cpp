#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// A learnable blob, initially 0, as a top: other layers can then compute with it.
///
/// Source: matches Caffe.
class ParameterLayer final : public Layer {
 public:
  explicit ParameterLayer(const LayerParameter& p) {
    const auto& dims = p.parameter_param().shape().dim();
    params.resize(1);
    params[0].reshape(checked_shape({dims.begin(), dims.end()}, "parameter_param.shape"));
  }

  void reshape(Context&, Bottoms, Tops top) override {
    top[0]->reshape(params[0].shape());
    top[0]->data.share(params[0].data);
  }

  void forward(Context&, Bottoms, Tops) override {}

  void backward(Context& ctx, Tops top, std::span<const bool>, Bottoms) override {
    if (!params[0].needs_grad) return;
    const float* dy = top[0]->grad.read(ctx);
    float* dw = params[0].grad.update(ctx);
    parallel_for(ctx, params[0].count(), [=] KERNEL(Index i) { dw[i] += dy[i]; });
  }
};

DOPPIO_REGISTER_LAYER("Parameter", ParameterLayer, .bottoms = exactly(0),
                      .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
