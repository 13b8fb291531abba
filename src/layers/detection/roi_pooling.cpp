#include <cstdint>
#include <limits>

#include "core/buffer.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/regions.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {
namespace {

/// The bins of a region.
struct Grid {
  Index rows, cols;  // of bins
  float scale;
  Index H = 0, W = 0;

  /// Bin `i` of `bins` between two corners.
  HOST_DEVICE Interval bin(float first, float last, Index bins, Index i) const {
    const float start = std::round(first * scale), size = std::round(last * scale) - start + 1;
    const Interval relative = touched(0, (size > 1 ? size : 1) / static_cast<float>(bins), i);
    const auto offset = static_cast<Index>(start);
    return {relative.begin + offset, relative.end + offset};
  }
  HOST_DEVICE Interval row_bin(const float* region, Index i) const {
    return bin(region[2], region[4], rows, i).within(H);
  }
  HOST_DEVICE Interval col_bin(const float* region, Index i) const {
    return bin(region[1], region[3], cols, i).within(W);
  }
};

/// Bins along an axis: entry `part` of pooled_size if given, else `own`.
Index bins(const ROIPoolingParameter& p, Index own, int part) {
  const int sizes = p.pooled_size_size();
  if (sizes == 0) return own;
  require_field(sizes <= 2, "roi_pooling_param.pooled_size",
                "pooled_size is given once or twice, not ", sizes, " times");
  require_field(!p.has_pooled_h() && !p.has_pooled_w(), "roi_pooling_param.pooled_size",
                "give either pooled_size or pooled_h and pooled_w");
  return p.pooled_size(std::min(part, sizes - 1));
}

/// RoI pooling: the maximum of each of pooled_h x pooled_w bins of each region.
///
/// Bottoms: features N x C x H x W, and regions R x 5: the image, and the corners x1, y1, x2, y2
/// (inclusive), in pixels of the image. They are multiplied by spatial_scale and rounded; a region
/// has at least one pixel. Top: R x C x pooled_h x pooled_w; bins outside the map are 0.
/// Throws: Error if a region's image does not exist.
/// Source: Girshick (2015), Fast R-CNN; matches its Caffe.
class RoiPooling final : public Layer {
 public:
  explicit RoiPooling(const LayerParameter& layer) {
    const ROIPoolingParameter& p = layer.roi_pooling_param();
    grid_ = {.rows = bins(p, p.pooled_h(), 0),
             .cols = bins(p, p.pooled_w(), 1),
             .scale = p.spatial_scale()};
    require_field(grid_.rows > 0 && grid_.cols > 0, "roi_pooling_param",
                  "pooled_h and pooled_w must both be at least 1");
    require_field(grid_.scale > 0 && grid_.scale < 1e4f, "roi_pooling_param.spatial_scale",
                  "spatial_scale must be positive and less than 10000, it is ", grid_.scale);
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& x = bottom[0]->shape();
    require_region_shapes(x, bottom[1]->shape());
    require(x[2] * x[3] <= std::numeric_limits<std::int32_t>::max(), "maps of 2^31 pixels or more");
    grid_.H = x[2], grid_.W = x[3];
    top[0]->reshape(checked_shape({bottom[1]->shape()[0], x[1], grid_.rows, grid_.cols},
                                  "roi_pooling_param.pooled_h"));
    argmax_.resize(top[0]->count());
  }

  Scratch scratch() const override { return {.held = argmax_.bytes()}; }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_regions(bottom[1]->data, bottom[0]->shape()[0]);
    const float* x = bottom[0]->data.read(ctx);
    const float* regions = bottom[1]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    std::int32_t* argmax = argmax_.write(ctx);
    const Index C = top[0]->shape()[1], bins = grid_.rows * grid_.cols;
    parallel_for(ctx, {top[0]->shape()[0], C, bins}, 16,
                 [=, g = grid_] KERNEL(Index r, Index c, Index bin) {
      const float* region = regions + 5 * r;
      const Interval rows = g.row_bin(region, bin / g.cols), cols = g.col_bin(region, bin % g.cols);
      const float* map = x + (static_cast<Index>(region[0]) * C + c) * g.H * g.W;
      const bool empty = rows.length() * cols.length() == 0;
      Index best = empty ? -1 : rows.begin * g.W + cols.begin;
      for (Index h = rows.begin; h < rows.end; ++h)
        for (Index w = cols.begin; w < cols.end; ++w)
          best = map[h * g.W + w] > map[best] ? h * g.W + w : best;
      const Index o = (r * C + c) * bins + bin;
      y[o] = empty ? 0 : map[best];
      argmax[o] = static_cast<std::int32_t>(best);
    });
  }

  /// One work item per map, so that no two add to the same pixel.
  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Shape& out = top[0]->shape();
    const Index R = out[0], C = out[1], bins = out.count_from(2), pixels = grid_.H * grid_.W;
    const float* regions = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    const std::int32_t* argmax = argmax_.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, bottom[0]->shape().count_before(2), pixels, [=] KERNEL(Index plane) {
      float* map = dx + plane * pixels;
      for (Index i = 0; i < pixels; ++i) map[i] = 0;
      for (Index r = 0; r < R; ++r) {
        if (static_cast<Index>(regions[5 * r]) != plane / C) continue;
        const Index first = (r * C + plane % C) * bins;
        for (Index o = first; o < first + bins; ++o)
          if (argmax[o] >= 0) map[argmax[o]] += dy[o];
      }
    });
  }

 private:
  Grid grid_{};
  Buffer<std::int32_t> argmax_;  // index h * W + w of each maximum, -1 for an empty bin
};

DOPPIO_REGISTER_LAYER("ROIPooling", RoiPooling, .bottoms = exactly(2), .no_grad_bottoms = 0b10,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
