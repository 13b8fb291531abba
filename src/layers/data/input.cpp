#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {
namespace {

/// Tops that the caller fills; they are the net's inputs. Shapes: input_param.shape, none, one for
/// all, or one per top.
///
/// The shapes are set once: afterwards the caller may reshape the blobs and call Net::reshape().
/// Source: matches Caffe.
class Input final : public Layer {
 public:
  explicit Input(const LayerParameter& p) : param_(p.input_param()) {
    const int shapes = param_.shape_size();
    require_field(shapes <= 1 || shapes == p.top_size(), "input_param.shape",
                  "needs no shape, one, or one per top (", p.top_size(), "), has ", shapes);
  }

  void reshape(Context&, Bottoms, Tops top) override {
    if (done_) return;
    done_ = true;
    for (std::size_t t = 0; t < top.size() && param_.shape_size() > 0; ++t) {
      const auto& dims = param_.shape(param_.shape_size() == 1 ? 0 : static_cast<int>(t)).dim();
      top[t]->reshape(checked_shape({dims.begin(), dims.end()}, "input_param.shape"));
    }
  }

  void forward(Context&, Bottoms, Tops) override {}

 private:
  InputParameter param_;
  bool done_ = false;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "Input", Input, .bottoms = exactly(0), .tops = at_least(1),
                         .is_source = true);

}  // namespace
}  // namespace doppio
