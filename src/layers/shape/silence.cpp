#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Consumes blobs that would otherwise count as outputs of the net; their gradient is 0.
///
/// Source: matches Caffe.
class Silence final : public Layer {
 public:
  explicit Silence(const LayerParameter&) {}

  void reshape(Context&, Bottoms, Tops) override {}

  void forward(Context&, Bottoms, Tops) override {}

  void backward(Context& ctx, Tops, std::span<const bool> wanted, Bottoms bottom) override {
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      if (!wanted[i]) continue;
      float* dx = bottom[i]->grad.write(ctx);
      parallel_for(ctx, bottom[i]->count(), [=] KERNEL(Index k) { dx[k] = 0; });
    }
  }
};

DOPPIO_REGISTER_LAYER("Silence", Silence, .bottoms = at_least(1), .tops = exactly(0),
                      .backward_reads_bottom = false, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
