#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/regions.hpp"

namespace doppio {
namespace {

/// The bins of a region.
struct Grid {
  Index G;
  float scale;
  Index H = 0, W = 0;

  HOST_DEVICE Interval bin(float first, float last, Index i, Index size) const {
    const float start = std::round(first) * scale;
    const float length = (std::round(last) + 1) * scale - start;
    return touched(start, (length > 0.1f ? length : 0.1f) / static_cast<float>(G), i).within(size);
  }
  /// The pixels that channel c averages: those of bin (c / G mod G, c mod G).
  HOST_DEVICE Interval rows(const float* region, Index c) const {
    return bin(region[2], region[4], c / G % G, H);
  }
  HOST_DEVICE Interval cols(const float* region, Index c) const {
    return bin(region[1], region[3], c % G, W);
  }
};

/// Position-sensitive RoI pooling: the mean of each of group_size x group_size bins of each region,
/// each bin from its own channel.
///
/// Bottoms: features N x (output_dim G^2) x H x W with G = group_size, and regions R x 5: the
/// image, and the corners x1, y1, x2, y2 (inclusive), in pixels of the image.
/// They are rounded, then multiplied by spatial_scale. Top: R x output_dim x G x G; element
/// (c, i, j) is the mean over bin (i, j) of channel (c G + i) G + j; bins outside the map are 0.
/// Throws: Error if a region's image does not exist.
/// Source: Dai et al. (2016), R-FCN; matches its Caffe.
class PsroiPooling final : public Layer {
 public:
  explicit PsroiPooling(const LayerParameter& layer) {
    const PSROIPoolingParameter& p = layer.psroi_pooling_param();
    require_field(p.output_dim() > 0, "psroi_pooling_param", "output_dim must be at least 1");
    require_field(p.group_size() > 0, "psroi_pooling_param", "group_size must be at least 1");
    require_field(p.spatial_scale() > 0 && p.spatial_scale() < 1e4f, "psroi_pooling_param",
                  "spatial_scale must be positive and less than 10000");
    output_dim_ = p.output_dim();
    grid_ = {.G = p.group_size(), .scale = p.spatial_scale()};
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& x = bottom[0]->shape();
    require_region_shapes(x, bottom[1]->shape());
    require_field(x[1] % output_dim_ == 0 && x[1] / output_dim_ % grid_.G == 0 &&
                      x[1] / output_dim_ / grid_.G == grid_.G,
                  "psroi_pooling_param", "output_dim ", output_dim_, " and group_size ", grid_.G,
                  " need output_dim group_size^2 channels, the features have ", x[1]);
    grid_.H = x[2], grid_.W = x[3];
    top[0]->reshape({bottom[1]->shape()[0], output_dim_, grid_.G, grid_.G});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    require_regions(bottom[1]->data, bottom[0]->shape()[0]);
    const float* x = bottom[0]->data.read(ctx);
    const float* regions = bottom[1]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    const Index C = bottom[0]->shape()[1];
    parallel_for(ctx, {1, top[0]->shape()[0], C}, 16,
                 [=, g = grid_] KERNEL(Index, Index r, Index c) {
      const float* region = regions + 5 * r;
      const Interval rows = g.rows(region, c), cols = g.cols(region, c);
      const float* map = x + (static_cast<Index>(region[0]) * C + c) * g.H * g.W;
      float sum = 0;
      for (Index h = rows.begin; h < rows.end; ++h)
        for (Index w = cols.begin; w < cols.end; ++w) sum += map[h * g.W + w];
      const Index area = rows.length() * cols.length();
      y[r * C + c] = area > 0 ? sum / static_cast<float>(area) : 0;
    });
  }

  /// One work item per map, so that no two add to the same pixel.
  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index R = top[0]->shape()[0], C = bottom[0]->shape()[1], pixels = grid_.H * grid_.W;
    const float* regions = bottom[1]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(ctx, bottom[0]->shape().count_before(2), pixels,
                 [=, g = grid_] KERNEL(Index plane) {
      const Index c = plane % C;
      float* map = dx + plane * pixels;
      for (Index i = 0; i < pixels; ++i) map[i] = 0;
      for (Index r = 0; r < R; ++r) {
        const float* region = regions + 5 * r;
        if (static_cast<Index>(region[0]) != plane / C) continue;
        const Interval rows = g.rows(region, c), cols = g.cols(region, c);
        const auto area = static_cast<float>(rows.length() * cols.length());
        for (Index h = rows.begin; h < rows.end; ++h)
          for (Index w = cols.begin; w < cols.end; ++w) map[h * g.W + w] += dy[r * C + c] / area;
      }
    });
  }

 private:
  Index output_dim_ = 0;
  Grid grid_{};
};

DOPPIO_REGISTER_LAYER("PSROIPooling", PsroiPooling, .bottoms = exactly(2), .no_grad_bottoms = 0b10,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
