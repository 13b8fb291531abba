#include <string>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/copy_rows.hpp"

namespace doppio {
namespace {

/// to += from.
void add(Context& ctx, const Tensor& from_tensor, Tensor& to_tensor) {
  const float* from = from_tensor.read(ctx);
  float* to = to_tensor.update(ctx);
  parallel_for(ctx, to_tensor.count(), [=] KERNEL(Index i) { to[i] += from[i]; });
}

/// Spatial pyramid pooling: the size of the top does not depend on the size of the map.
///
/// Shapes: N x C x H x W -> N x (C * (1 + 4 + 16 + ...)), where level i is pooled into 2^i x 2^i
/// windows and flattened; with pyramid_height 1, N x C x 1 x 1. `pool` is as in Pooling.
///
/// Throws: Error if the map is too small for the finest level.
/// Source: He et al., "Spatial pyramid pooling in deep convolutional networks" (2014); matches
/// Caffe.
class Spp final : public Layer {
 public:
  explicit Spp(const LayerParameter& p) : p_(p) {
    require_field(levels() > 0, "spp_param.pyramid_height",
                  p.spp_param().has_pyramid_height() ? "pyramid_height must be at least 1"
                                                     : "pyramid_height is missing");
    require_field(levels() <= 16, "spp_param.pyramid_height", "pyramid_height ", levels(),
                  " asks for windows smaller than pixels");
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() == 4 && shape[2] > 0 && shape[3] > 0,
            "SPP needs N x C x H x W with H and W at least 1, not ", shape.text());
    if (shape != shape_) {
      pools_.clear();
      pooled_ = std::vector<Blob>(static_cast<std::size_t>(levels()));
      for (Index level = 0; level < levels(); ++level)
        pools_.push_back(LayerRegistry::instance()
                             .find("Pooling", ctx.device())
                             .make(pooling(level, shape[2], shape[3])));
      shape_ = shape;
    }
    Index width = 0;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      Blob* const pooled = &pooled_[i];
      pools_[i]->reshape(ctx, bottom, {&pooled, 1});
      width += pooled->shape().count_from(1);
    }
    top[0]->reshape(levels() == 1 ? pooled_[0].shape() : Shape{shape[0], width});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    float* y = top[0]->data.write(ctx);
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      Blob* const pooled = &pooled_[i];
      pools_[i]->forward(ctx, bottom, {&pooled, 1});
      const Index width = pooled->shape().count_from(1);
      copy_rows(ctx, shape_[0], width, pooled->data.read(ctx), width, y, row_length());
      y += width;
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* dy = top[0]->grad.read(ctx);
    Blob part;  // of the bottom's gradient, from one level
    part.reshape(shape_);
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      Blob *const pooled = &pooled_[i], *const into = i == 0 ? bottom[0] : &part;
      const Index width = pooled->shape().count_from(1);
      copy_rows(ctx, shape_[0], width, dy, row_length(), pooled->grad.write(ctx), width);
      pools_[i]->backward(ctx, {&pooled, 1}, wanted, {&into, 1});
      if (i > 0) add(ctx, part.grad, bottom[0]->grad);
      dy += width;
    }
  }

 private:
  Index levels() const { return p_.spp_param().pyramid_height(); }
  Index row_length() const {
    Index width = 0;
    for (const Blob& pooled : pooled_) width += pooled.shape().count_from(1);
    return width;
  }

  /// 2^level windows along each axis, with padding on both sides if the map does not divide evenly.
  LayerParameter pooling(Index level, Index height, Index width) const {
    const Index windows = Index{1} << level;
    const auto kernel = [&](Index size) { return (size + windows - 1) / windows; };
    const auto pad = [&](Index size) { return (kernel(size) * windows - size + 1) / 2; };
    require_field(pad(height) < kernel(height) && pad(width) < kernel(width),
                  "spp_param.pyramid_height", "level ", level, " has ", windows, " x ", windows,
                  " windows, too many for a map of ", height, " x ", width);
    LayerParameter p;
    p.set_name(p_.name() + "_level" + std::to_string(level));
    p.set_type("Pooling");
    p.set_phase(p_.phase());
    PoolingParameter& pool = *p.mutable_pooling_param();
    pool.set_pool(static_cast<PoolingParameter::PoolMethod>(p_.spp_param().pool()));
    pool.set_kernel_h(static_cast<std::uint32_t>(kernel(height)));
    pool.set_kernel_w(static_cast<std::uint32_t>(kernel(width)));
    pool.set_stride_h(pool.kernel_h());
    pool.set_stride_w(pool.kernel_w());
    pool.set_pad_h(static_cast<std::uint32_t>(pad(height)));
    pool.set_pad_w(static_cast<std::uint32_t>(pad(width)));
    return p;
  }

  LayerParameter p_;
  Shape shape_;
  std::vector<std::unique_ptr<Layer>> pools_;  // one per level, as are their tops
  std::vector<Blob> pooled_;
};

DOPPIO_REGISTER_LAYER("SPP", Spp, .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
