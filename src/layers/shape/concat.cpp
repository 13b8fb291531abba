#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/run_layout.hpp"
#include "math/copy_rows.hpp"

namespace doppio {
namespace {

/// Joins the bottoms along one axis; all other axes must agree.
///
/// As matrices of count_before(axis) rows, the top's rows are the bottoms' rows concatenated. In
/// the blocked layout this also holds for `axis` 0 and 1. Source: matches Caffe.
class Concat final : public Layer {
 public:
  explicit Concat(const LayerParameter& p) {
    const ConcatParameter& c = p.concat_param();
    require_field(!c.has_axis() || !c.has_concat_dim(), "concat_param.concat_dim",
                  "axis and concat_dim mean the same; give only axis");
    axis_ = c.has_concat_dim() ? Index{c.concat_dim()} : Index{c.axis()};
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& first = bottom[0]->shape();
    const Index axis = first.canonical(axis_);
    by_channels_ = axis == 1;
    keeps_blocks_ = axis <= 1;
    Index size = first[axis];
    for (std::size_t i = 1; i < bottom.size(); ++i) {
      const Shape& shape = bottom[i]->shape();
      require(shape.axes() == first.axes() && shape.with(axis, first[axis]) == first,
              "bottoms may differ along axis ", axis, " only, but bottom 0 is ", first.text(),
              " and bottom ", i, " is ", shape.text());
      size += shape[axis];
    }
    top[0]->reshape(first.with(axis, size));
    rows_ = first.count_before(axis);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    layout_ = keeps_blocks_ ? run_layout(ctx, bottom) : Layout::nchw;
    float* y = top[0]->data.write(ctx, layout_);
    const Index width = row_length(*top[0]);
    for (Blob* b : bottom) {
      const Index cols = row_length(*b);
      copy_rows(ctx, rows(*bottom[0]), cols, b->data.read(ctx, layout_), cols, y, width);
      y += cols;
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float* dy = top[0]->grad.read(ctx, layout_);
    const Index width = row_length(*top[0]);
    for (std::size_t i = 0; i < bottom.size(); ++i) {
      const Index cols = row_length(*bottom[i]);
      if (wanted[i])
        copy_rows(ctx, rows(*bottom[0]), cols, dy, width, bottom[i]->grad.write(ctx, layout_),
                  cols);
      dy += cols;
    }
  }

 private:
  /// Rows to concatenate: in NHWC with axis 1, one per pixel.
  Index rows(const Blob& blob) const {
    const bool pixels = layout_ == Layout::nhwc && by_channels_;
    return pixels ? rows_ * blob.shape().count_from(2) : rows_;
  }
  Index row_length(const Blob& blob) const { return rows_ == 0 ? 0 : blob.count() / rows(blob); }

  Index axis_ = 1;
  Index rows_ = 0;
  bool by_channels_ = false;  // axis 1
  bool keeps_blocks_ = false;
  Layout layout_ = Layout::nchw;  // of the last forward pass
};

DOPPIO_REGISTER_LAYER("Concat", Concat, .bottoms = at_least(1), .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
