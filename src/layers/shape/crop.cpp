#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// A window in a three-axis box.
struct Window {
  Index box[3], size[3], start[3];

  HOST_DEVICE Index in_window(Index a, Index b, Index c) const {
    return (a * size[1] + b) * size[2] + c;
  }
  HOST_DEVICE Index in_box(Index a, Index b, Index c) const {
    return ((a + start[0]) * box[1] + b + start[1]) * box[2] + c + start[2];
  }
};

/// Crops the first bottom, at `offset`, to the sizes of the second on the axes from `axis`.
///
/// Only the shape of the second bottom matters. The gradient is 0 outside the window.
/// Source: matches Caffe.
class Crop final : public Layer {
 public:
  explicit Crop(const LayerParameter& p)
      : axis_(p.crop_param().axis()),
        offsets_(p.crop_param().offset().begin(), p.crop_param().offset().end()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& whole = bottom[0]->shape();
    const Shape& like = bottom[1]->shape();
    const Index axis = whole.canonical(axis_), cropped = whole.axes() - axis;
    require(like.axes() == whole.axes(), "both bottoms need the same number of axes, but they are ",
            whole.text(), " and ", like.text());
    require_field(offsets_.size() <= 1 || static_cast<Index>(offsets_.size()) == cropped,
                  "crop_param.offset", "give one offset, or one for each of the ", cropped,
                  " axes from axis ", axis, " on, not ", offsets_.size());
    Shape shape = whole;
    // The axes before `axis` are merged into one; axes of size 1 make up at least three.
    axes_.assign(static_cast<std::size_t>(std::max<Index>(0, 2 - cropped)), {1, 1, 0});
    axes_.push_back({whole.count_before(axis), whole.count_before(axis), 0});
    for (Index a = axis; a < whole.axes(); ++a) {
      const Index start = offset(static_cast<std::size_t>(a - axis));
      require_field(start + like[a] <= whole[a], "crop_param.offset", "offset ", start,
                    " and size ", like[a], " exceed axis ", a, " of bottom 0, which is ",
                    whole.text());
      shape = shape.with(a, like[a]);
      axes_.push_back({whole[a], like[a], start});
    }
    top[0]->reshape(shape);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Window w = window();
    for (Index k = 0; k < windows(); ++k) {
      const float* x = bottom[0]->data.read(ctx) + begin_of_box(k);
      float* y = top[0]->data.write(ctx) + begin_of_window(k);
      parallel_for(ctx, w.size, [=] KERNEL(Index a, Index b, Index c) {
        y[w.in_window(a, b, c)] = x[w.in_box(a, b, c)];
      });
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    float* all = bottom[0]->grad.write(ctx);
    parallel_for(ctx, bottom[0]->count(), [=] KERNEL(Index i) { all[i] = 0; });
    const Window w = window();
    for (Index k = 0; k < windows(); ++k) {
      const float* dy = top[0]->grad.read(ctx) + begin_of_window(k);
      float* dx = all + begin_of_box(k);
      parallel_for(ctx, w.size, [=] KERNEL(Index a, Index b, Index c) {
        dx[w.in_box(a, b, c)] = dy[w.in_window(a, b, c)];
      });
    }
  }

 private:
  struct Axis {
    Index whole, size, start;
  };

  Index offset(std::size_t i) const {
    return offsets_.empty() ? 0 : offsets_[offsets_.size() == 1 ? 0 : i];
  }

  /// The last three axes, which one kernel copies.
  Window window() const {
    Window w;
    for (std::size_t k = 0; k < 3; ++k) {
      const Axis& axis = axes_[axes_.size() - 3 + k];
      w.box[k] = axis.whole;
      w.size[k] = axis.size;
      w.start[k] = axis.start;
    }
    return w;
  }

  /// Returns the number of windows along the axes before the last three.
  Index windows() const {
    Index n = 1;
    for (std::size_t k = 0; k + 3 < axes_.size(); ++k) n *= axes_[k].size;
    return n;
  }

  Index begin_of_window(Index k) const {
    const Window w = window();
    return k * w.size[0] * w.size[1] * w.size[2];
  }

  Index begin_of_box(Index k) const {
    const Window w = window();
    Index begin = 0, stride = w.box[0] * w.box[1] * w.box[2];
    for (std::size_t a = axes_.size() - 3; a-- > 0;) {
      begin += (k % axes_[a].size + axes_[a].start) * stride;
      stride *= axes_[a].whole;
      k /= axes_[a].size;
    }
    return begin;
  }

  Index axis_;
  std::vector<Index> offsets_;
  std::vector<Axis> axes_;
};

DOPPIO_REGISTER_LAYER("Crop", Crop, .bottoms = exactly(2), .no_grad_bottoms = 0b10,
                      .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
