#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// y = coeff times the sum, sum of |x|, sum of x^2, or mean over all axes from `axis` on.
///
/// Top: the axes before `axis`; a scalar for axis 0. Source: matches Caffe.
class Reduction final : public Layer {
 public:
  explicit Reduction(const LayerParameter& p)
      : operation_(p.reduction_param().operation()),
        axis_(p.reduction_param().axis()),
        coeff_(p.reduction_param().coeff()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index axis = shape.canonical(axis_);
    top[0]->reshape(Shape({shape.dims().begin(), shape.dims().begin() + axis}));
    rows_ = shape.count_before(axis);
    cols_ = shape.count_from(axis);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    reduce_rows(ctx, rows_, cols_, 0, Sum{}, top[0]->data.write(ctx),
                [=, x = bottom[0]->data.read(ctx), cols = cols_, op = operation_,
                 factor = double{factor()}] KERNEL(Index r, Index c) {
      const double v = x[r * cols + c];
      return factor * (op == ReductionParameter::ASUM    ? std::abs(v)
                       : op == ReductionParameter::SUMSQ ? v * v
                                                         : v);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx);
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    parallel_for(
        ctx, {1, rows_, cols_},
        [=, cols = cols_, op = operation_, factor = factor()] KERNEL(Index, Index r, Index c) {
      const Index i = r * cols + c;
      const float slope = op == ReductionParameter::ASUM    ? (x[i] > 0   ? 1.0f
                                                               : x[i] < 0 ? -1.0f
                                                                          : 0.0f)
                          : op == ReductionParameter::SUMSQ ? 2 * x[i]
                                                            : 1.0f;
      dx[i] = factor * dy[r] * slope;
        });
  }

 private:
  float factor() const {
    return operation_ == ReductionParameter::MEAN ? coeff_ / static_cast<float>(cols_) : coeff_;
  }

  ReductionParameter::ReductionOp operation_;
  Index axis_;
  float coeff_;
  Index rows_ = 1, cols_ = 1;
};

DOPPIO_REGISTER_LAYER("Reduction", Reduction, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
