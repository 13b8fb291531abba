#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/indices.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y[m] = x[index[m]]: selects items of a batch, each any number of times.
///
/// Bottoms: x of N items, and M indices from 0 to N - 1 (one axis). Source: matches Caffe.
class BatchReindex final : public Layer {
 public:
  explicit BatchReindex(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Shape& index = bottom[1]->shape();
    require(shape.axes() > 0 && index.axes() == 1,
            "bottom 0 needs at least one axis and bottom 1 exactly one, but they are ",
            shape.text(), " and ", index.text());
    top[0]->reshape(shape.with(0, index[0]));
    N_ = shape[0];
    M_ = index[0];
    size_ = shape.count_from(1);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_indices(bottom[1]->data, N_, "index");
    const float* x = bottom[0]->data.read(ctx);
    const float* index = bottom[1]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    parallel_for(ctx, {1, M_, size_}, [=, size = size_] KERNEL(Index, Index m, Index i) {
      y[m * size + i] = x[static_cast<Index>(index[m]) * size + i];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* index = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, {1, N_, size_}, [=, M = M_, size = size_] KERNEL(Index, Index n, Index i) {
      float sum = 0;
      for (Index m = 0; m < M; ++m)
        if (static_cast<Index>(index[m]) == n) sum += dy[m * size + i];
      dx[n * size + i] = sum;
    });
  }

 private:
  Index N_ = 0, M_ = 0, size_ = 0;
};

DOPPIO_REGISTER_LAYER("BatchReindex", BatchReindex, .bottoms = exactly(2), .no_grad_bottoms = 0b10,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
