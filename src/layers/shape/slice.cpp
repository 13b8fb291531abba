#include <algorithm>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/run_layout.hpp"
#include "math/copy_rows.hpp"

namespace doppio {
namespace {

/// Cuts the bottom along one axis, at slice_point or into equal parts: the reverse of Concat.
///
/// As a matrix of count_before(axis) rows, the bottom is split by columns. In the blocked layout
/// this also holds for `axis` 0 and 1 if each top has whole blocks.
/// Source: matches Caffe.
class Slice final : public Layer {
 public:
  explicit Slice(const LayerParameter& p)
      : points_(p.slice_param().slice_point().begin(), p.slice_param().slice_point().end()) {
    const SliceParameter& s = p.slice_param();
    require_field(!s.has_axis() || !s.has_slice_dim(), "slice_param.slice_dim",
                  "axis and slice_dim mean the same; give only axis");
    axis_ = s.has_slice_dim() ? Index{s.slice_dim()} : Index{s.axis()};
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index axis = shape.canonical(axis_);
    const std::vector<Index> starts = starts_of_tops(shape[axis], static_cast<Index>(top.size()));
    for (std::size_t i = 0; i < top.size(); ++i)
      top[i]->reshape(shape.with(axis, starts[i + 1] - starts[i]));
    rows_ = shape.count_before(axis);
    by_channels_ = axis == 1;
    keeps_blocks_ = axis <= 1 && std::all_of(top.begin(), top.end(),
                                             [](const Blob* t) { return t->data.can_block(); });
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    layout_ = keeps_blocks_ ? run_layout(ctx, bottom) : Layout::nchw;
    const float* x = bottom[0]->data.read(ctx, layout_);
    const Index width = row_length(*bottom[0]);
    for (Blob* t : top) {
      const Index cols = row_length(*t);
      copy_rows(ctx, rows(*bottom[0]), cols, x, width, t->data.write(ctx, layout_), cols);
      x += cols;
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    float* dx = bottom[0]->grad.write(ctx, layout_);
    const Index width = row_length(*bottom[0]);
    for (Blob* t : top) {
      const Index cols = row_length(*t);
      copy_rows(ctx, rows(*bottom[0]), cols, t->grad.read(ctx, layout_), cols, dx, width);
      dx += cols;
    }
  }

 private:
  /// Rows to split: in NHWC with axis 1, one per pixel.
  Index rows(const Blob& blob) const {
    const bool pixels = layout_ == Layout::nhwc && by_channels_;
    return pixels ? rows_ * blob.shape().count_from(2) : rows_;
  }
  Index row_length(const Blob& blob) const { return rows_ == 0 ? 0 : blob.count() / rows(blob); }

  /// Returns where each top begins along an axis of `size`, then `size` itself.
  std::vector<Index> starts_of_tops(Index size, Index tops) const {
    std::vector<Index> starts{0};
    if (points_.empty()) {
      require(size % tops == 0, "an axis of size ", size, " cannot be cut into ", tops,
              " equal parts; give slice_point, or change the number of tops");
      for (Index i = 1; i <= tops; ++i) starts.push_back(size / tops * i);
      return starts;
    }
    const char* field = "slice_param.slice_point";
    require_field(static_cast<Index>(points_.size()) == tops - 1, field, points_.size(),
                  " slice points make ", points_.size() + 1, " parts, but there are ", tops,
                  " tops");
    for (const Index point : points_) {
      require_field(point > starts.back(), field, "slice_point ", point, " must be above ",
                    starts.back(), ": every top needs a part");
      starts.push_back(point);
    }
    require_field(starts.back() < size, field, "slice_point ", starts.back(),
                  " is not inside an axis of size ", size);
    starts.push_back(size);
    return starts;
  }

  std::vector<Index> points_;
  Index axis_ = 1;
  Index rows_ = 0;
  bool by_channels_ = false;  // axis 1
  bool keeps_blocks_ = false;
  Layout layout_ = Layout::nchw;  // of the last forward pass
};

DOPPIO_REGISTER_LAYER("Slice", Slice, .tops = at_least(1), .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
