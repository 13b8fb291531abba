#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// The same elements in another shape: `num_axes` axes from `axis` on are replaced by `shape`, in
/// which 0 copies the bottom's size and one -1 is inferred. The top is a view of the bottom.
///
/// A negative axis counts from the end so that -1 means after the last axis. Source: matches
/// Caffe.
class Reshape final : public Layer {
 public:
  explicit Reshape(const LayerParameter& p)
      : dims_(p.reshape_param().shape().dim().begin(), p.reshape_param().shape().dim().end()),
        axis_(p.reshape_param().axis()),
        num_axes_(p.reshape_param().num_axes()) {
    for (const Index d : dims_)
      require_field(d >= -1, "reshape_param.shape", "size ", d,
                    " in shape; -1 (infer) and 0 (copy) are the only special ones");
    require_field(std::count(dims_.begin(), dims_.end(), -1) <= 1, "reshape_param.shape",
                  "only one size in shape can be -1");
    require_field(num_axes_ >= -1, "reshape_param.num_axes", "num_axes is ", num_axes_,
                  "; it must be a number of axes, or -1 for all the rest");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index first = axis_ < 0 ? axis_ + shape.axes() + 1 : axis_;
    require_field(first >= 0 && first <= shape.axes(), "reshape_param.axis", "axis ", axis_,
                  " is out of range for shape ", shape.text());
    const Index last = num_axes_ < 0 ? shape.axes() : first + num_axes_;
    require_field(last <= shape.axes(), "reshape_param.num_axes", "num_axes ", num_axes_,
                  " from axis ", first, " on reaches beyond shape ", shape.text());

    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + first);
    for (std::size_t i = 0; i < dims_.size(); ++i) dims.push_back(resolved(i, shape, first));
    dims.insert(dims.end(), shape.dims().begin() + last, shape.dims().end());
    infer(dims, shape);
    const Shape result = checked_shape(dims, "reshape_param.shape");
    require_field(result.count() == shape.count(), "reshape_param.shape", "shape ", result.text(),
                  " has ", result.count(), " elements, but the bottom ", shape.text(), " has ",
                  shape.count());
    top[0]->reshape(result);
    top[0]->share(*bottom[0]);
  }

  void forward(Context&, Bottoms, Tops) override {}

 private:
  /// Returns entry i of the new shape, with a 0 replaced by the size of the bottom's axis there.
  Index resolved(std::size_t i, const Shape& shape, Index first) const {
    if (dims_[i] != 0) return dims_[i];
    const Index axis = first + static_cast<Index>(i);
    require_field(axis < shape.axes(), "reshape_param.shape", "the 0 in place ", i,
                  " of shape copies axis ", axis, ", which the bottom ", shape.text(),
                  " does not have");
    return shape[axis];
  }

  /// Replaces the -1 in `dims`, if there is one.
  static void infer(std::vector<Index>& dims, const Shape& shape) {
    const auto unknown = std::find(dims.begin(), dims.end(), -1);
    if (unknown == dims.end()) return;
    *unknown = 1;
    const Index known = checked_shape(dims, "reshape_param.shape").count();
    require_field(known > 0 && shape.count() % known == 0, "reshape_param.shape",
                  "the -1 in shape cannot be inferred: ", shape.count(),
                  " elements are not a multiple of ", known);
    *unknown = shape.count() / known;
  }

  std::vector<Index> dims_;
  Index axis_, num_axes_;
};

DOPPIO_REGISTER_LAYER("Reshape", Reshape, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
