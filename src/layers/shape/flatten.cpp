#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Merges the axes from `axis` to `end_axis` into one; the top is a view of the bottom.
///
/// An end_axis just before axis merges nothing and inserts an axis of size 1. Source: matches
/// Caffe.
class Flatten final : public Layer {
 public:
  explicit Flatten(const LayerParameter& p)
      : axis_(p.flatten_param().axis()), end_axis_(p.flatten_param().end_axis()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index first = shape.canonical(axis_);
    require_field(end_axis_ >= -shape.axes() && end_axis_ < shape.axes(), "flatten_param.end_axis",
                  "end_axis ", end_axis_, " is out of range for shape ", shape.text());
    const Index last = shape.canonical(end_axis_);
    require_field(first <= last + 1, "flatten_param.end_axis", "end_axis ", end_axis_,
                  " lies before axis ", axis_, " of shape ", shape.text());
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + first);
    dims.push_back(shape.count(first, last + 1));
    dims.insert(dims.end(), shape.dims().begin() + last + 1, shape.dims().end());
    top[0]->reshape(Shape(dims));
    top[0]->share(*bottom[0]);
  }

  void forward(Context&, Bottoms, Tops) override {}

 private:
  Index axis_, end_axis_;
};

DOPPIO_REGISTER_LAYER("Flatten", Flatten, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
