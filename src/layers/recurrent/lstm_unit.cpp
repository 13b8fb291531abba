#include "layers/recurrent/lstm_unit.hpp"

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"

namespace doppio {
namespace {

/// One step of an LSTM, without its weights.
///
/// Bottoms: the previous cells c (1 x B x H), the gates before their nonlinearities (1 x B x 4H:
/// i, f, o, g) and cont (1 x B), 0 where a sequence begins, else 1. Tops: c and h, 1 x B x H.
/// Source: Hochreiter and Schmidhuber (1997) with forget gates; matches Caffe.
class LstmUnit final : public Layer {
 public:
  explicit LstmUnit(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape &c = bottom[0]->shape(), &gates = bottom[1]->shape(), &cont = bottom[2]->shape();
    require(c.axes() == 3 && c[0] == 1, "the cells must be 1 x B x H, not ", c.text());
    B_ = c[1];
    H_ = c[2];
    require(gates == Shape({1, B_, 4 * H_}), "the gates must be ", Shape({1, B_, 4 * H_}).text(),
            ", not ", gates.text());
    require(cont == Shape({1, B_}), "cont must be ", Shape({1, B_}).text(), ", not ", cont.text());
    top[0]->reshape(c);
    top[1]->reshape(c);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    lstm_step(ctx, B_, H_, bottom[2]->data.read(ctx), bottom[1]->data.read(ctx),
              bottom[0]->data.read(ctx), top[0]->data.write(ctx), top[1]->data.write(ctx));
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    unwanted_.reshape({1, B_, 4 * H_});
    const auto gradient = [&](std::size_t i) {
      return (wanted[i] ? bottom[i]->grad : unwanted_).write(ctx);
    };
    lstm_step_backward(ctx, B_, H_, bottom[2]->data.read(ctx), bottom[1]->data.read(ctx),
                       bottom[0]->data.read(ctx), top[0]->data.read(ctx), top[0]->grad.read(ctx),
                       top[1]->grad.read(ctx), gradient(1), gradient(0));
  }

 private:
  Index B_ = 0, H_ = 0;
  Tensor unwanted_;
};

DOPPIO_REGISTER_LAYER("LSTMUnit", LstmUnit, .bottoms = exactly(3), .tops = exactly(2),
                      .no_grad_bottoms = 0b100);

}  // namespace
}  // namespace doppio
