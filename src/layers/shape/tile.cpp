#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Repeats the bottom `tiles` times along one axis. Source: matches Caffe.
class Tile final : public Layer {
 public:
  explicit Tile(const LayerParameter& p)
      : axis_(p.tile_param().axis()), tiles_(p.tile_param().tiles()) {
    require_field(tiles_ > 0, "tile_param.tiles", "tiles is ", tiles_,
                  "; give the number of copies, at least 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index axis = shape.canonical(axis_);
    const std::string field = "tile_param.tiles";
    std::vector<Index> dims = shape.dims();
    dims[static_cast<std::size_t>(axis)] = checked_shape({shape[axis], tiles_}, field).count();
    top[0]->reshape(checked_shape(std::move(dims), field));
    rows_ = shape.count_before(axis);
    cols_ = shape.count_from(axis);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    parallel_for(ctx, {rows_, tiles_, cols_},
                 [=, tiles = tiles_, cols = cols_] KERNEL(Index r, Index t, Index c) {
      y[(r * tiles + t) * cols + c] = x[r * cols + c];
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, {1, rows_, cols_},
                 [=, tiles = tiles_, cols = cols_] KERNEL(Index, Index r, Index c) {
      float sum = 0;
      for (Index t = 0; t < tiles; ++t) sum += dy[(r * tiles + t) * cols + c];
      dx[r * cols + c] = sum;
    });
  }

 private:
  Index axis_, tiles_;
  Index rows_ = 1, cols_ = 1;
};

DOPPIO_REGISTER_LAYER("Tile", Tile, .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
