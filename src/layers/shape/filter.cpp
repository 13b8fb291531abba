#include "core/buffer.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Keeps those items of every other bottom whose flag in the last bottom is not 0.
///
/// Bottoms: any number of blobs of N items, and N flags; one top for each except the flags. The
/// tops' size depends on the data, so until the flags are known they are as large as the bottoms.
/// Dropped items and the flags get the gradient 0. Source: matches Caffe.
class Filter final : public Layer {
 public:
  explicit Filter(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Blob& flags = *bottom.back();
    require(top.size() == bottom.size() - 1,
            "Filter needs a top for each bottom but the last: ", bottom.size() - 1, ", not ",
            top.size());
    for (std::size_t k = 0; k < top.size(); ++k)
      require(bottom[k]->shape().axes() > 0 && bottom[k]->shape()[0] == flags.count(), "bottom ", k,
              " is ", bottom[k]->shape().text(), ", but there are ", flags.count(),
              " flags in the last bottom; one per item is needed");
    choose(flags.data);
    for (std::size_t k = 0; k < top.size(); ++k) top[k]->reshape(bottom[k]->shape().with(0, kept_));
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index* source = source_.read(ctx);
    for (std::size_t k = 0; k < top.size(); ++k) {
      const Index size = bottom[k]->shape().count_from(1);
      const float* x = bottom[k]->data.read(ctx);
      float* y = top[k]->data.write(ctx);
      parallel_for(ctx, {1, kept_, size}, [=] KERNEL(Index, Index n, Index i) {
        y[n * size + i] = x[source[n] * size + i];
      });
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const Index* place = place_.read(ctx);
    const Index N = place_.count();
    for (std::size_t k = 0; k < bottom.size(); ++k) {
      if (!wanted[k]) continue;
      const Index size = bottom[k]->shape().count_from(1);
      const float* dy = k < top.size() ? top[k]->grad.read(ctx) : nullptr;
      float* dx = bottom[k]->grad.write(ctx);
      parallel_for(ctx, {1, N, size}, [=] KERNEL(Index, Index n, Index i) {
        const Index from = place[n];
        dx[n * size + i] = dy && from >= 0 ? dy[from * size + i] : 0;
      });
    }
  }

 private:
  /// Fills source_ and place_ from the flags; without flags everything is kept.
  void choose(const Tensor& flags) {
    const float* keep = flags.allocated() ? flags.read_host() : nullptr;
    source_.resize(flags.count());
    place_.resize(flags.count());
    Index* source = source_.write_host();
    Index* place = place_.write_host();
    kept_ = 0;
    for (Index n = 0; n < flags.count(); ++n) {
      const bool kept = !keep || keep[n] != 0;
      place[n] = kept ? kept_ : -1;
      if (kept) source[kept_++] = n;
    }
  }

  Index kept_ = 0;
  Buffer<Index> source_;  // per kept item: its number in the bottoms
  Buffer<Index> place_;   // per item: its number in the tops, or -1
};

DOPPIO_REGISTER_LAYER("Filter", Filter, .bottoms = at_least(2), .tops = at_least(1),
                      .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
