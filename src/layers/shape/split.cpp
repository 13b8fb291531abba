#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/run_layout.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Lets several layers read one blob: every top is a view of the bottom's data, and the bottom's
/// gradient is the sum of the tops'. The net inserts it where a blob is read more than once.
///
/// Source: matches Caffe.
class Split final : public Layer {
 public:
  explicit Split(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    for (Blob* t : top) {
      t->reshape(bottom[0]->shape());
      t->data.share(bottom[0]->data);
    }
  }

  void forward(Context& ctx, Bottoms bottom, Tops) override { layout_ = run_layout(ctx, bottom); }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index n = bottom[0]->count();
    const float* sum = top[0]->grad.read(ctx, layout_);
    float* dx = bottom[0]->grad.write(ctx, layout_);
    if (top.size() == 1) parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = sum[i]; });
    for (std::size_t k = 1; k < top.size(); ++k) {
      const float* dy = top[k]->grad.read(ctx, layout_);
      parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = sum[i] + dy[i]; });
      sum = dx;
    }
  }

 private:
  Layout layout_ = Layout::nchw;  // of the last forward pass
};

DOPPIO_REGISTER_LAYER("Split", Split, .tops = at_least(1), .backward_reads_bottom = false,
                      .backward_reads_top = false, .splits_channels = true);

}  // namespace
}  // namespace doppio
