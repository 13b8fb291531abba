#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// An axis of the top, and its stride in the bottom.
struct Axis {
  Index size, stride;
};

/// Axis i of the top is axis order[i] of the bottom; axes that `order` does not list follow in
/// their order.
///
/// Throws: Error if `order` names an axis twice or one that the bottom lacks.
/// Source: Liu et al. (2016), matches SSD's Caffe.
class Permute final : public Layer {
 public:
  explicit Permute(const LayerParameter& p)
      : given_(p.permute_param().order().begin(), p.permute_param().order().end()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const std::vector<Index> order = complete(shape);
    std::vector<Index> dims;
    axes_.clear();
    for (const Index a : order) {
      dims.push_back(shape[a]);
      // Axes that are also adjacent in the bottom are merged.
      if (dims.size() > 1 && a == order[dims.size() - 2] + 1)
        axes_.back() = {axes_.back().size * shape[a], shape.count_from(a + 1)};
      else
        axes_.push_back({shape[a], shape.count_from(a + 1)});
    }
    while (axes_.size() < 3) axes_.insert(axes_.begin(), {1, 0});
    top[0]->reshape(Shape(dims));
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    for_each_pair(ctx, [=] KERNEL(Index in, Index out) { y[out] = x[in]; });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    for_each_pair(ctx, [=] KERNEL(Index in, Index out) { dx[in] = dy[out]; });
  }

  /// Calls f(index in the bottom, index in the top) for every element.
  template <class F>
  void for_each_pair(Context& ctx, F f) {
    const Axis a = axes_.end()[-3], b = axes_.end()[-2], c = axes_.end()[-1];
    Index boxes = 1;  // of the last three axes
    for (auto axis = axes_.begin(); axis != axes_.end() - 3; ++axis) boxes *= axis->size;
    for (Index k = 0; k < boxes; ++k) {
      Index begin = 0, rest = k;
      for (auto axis = axes_.end() - 3; axis != axes_.begin(); rest /= axis->size) {
        --axis;
        begin += rest % axis->size * axis->stride;
      }
      const Index out = k * a.size * b.size * c.size;
      parallel_for(ctx, {a.size, b.size, c.size}, [=] KERNEL(Index i, Index j, Index l) {
        f(begin + i * a.stride + j * b.stride + l * c.stride, out + (i * b.size + j) * c.size + l);
      });
    }
  }

 private:
  std::vector<Index> complete(const Shape& shape) const {
    std::vector<Index> order = given_;
    for (std::size_t i = 0; i < order.size(); ++i) {
      require_field(order[i] < shape.axes(), "permute_param.order", "order ", order[i],
                    " is not an axis of the bottom ", shape.text());
      require_field(std::count(order.begin(), order.end(), order[i]) == 1, "permute_param.order",
                    "order has axis ", order[i], " twice");
    }
    for (Index a = 0; a < shape.axes(); ++a)
      if (std::count(given_.begin(), given_.end(), a) == 0) order.push_back(a);
    return order;
  }

  std::vector<Index> given_;
  std::vector<Axis> axes_;  // at least three
};

DOPPIO_REGISTER_LAYER("Permute", Permute, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
