#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Indices of the top_k largest values, largest first; of equal values the larger index comes
/// first, and NaN counts as the smallest value.
///
/// With `axis`, that axis gets size top_k and holds the indices, or with out_max_val the values.
/// Without, each item is flattened and the top is N x 1 x top_k, or N x 2 x top_k with the values
/// in the second row, with axes of size 1 added for a bottom of more than three. No gradient.
/// Source: matches Caffe.
class ArgMax final : public Layer {
 public:
  explicit ArgMax(const LayerParameter& p) : p_(p.argmax_param()) {
    require_field(p_.top_k() > 0, "argmax_param.top_k", "top_k must be at least 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() > 0, "ArgMax needs at least one axis, but the bottom is a scalar");
    const Index K = p_.top_k(), axis = p_.has_axis() ? shape.canonical(p_.axis()) : 1;
    outer_ = shape.count_before(axis);
    classes_ = p_.has_axis() ? shape[axis] : shape.count_from(1);
    inner_ = p_.has_axis() ? shape.count_from(axis + 1) : 1;
    require_field(K <= classes_, "argmax_param.top_k", "top_k ", K, " exceeds the ", classes_,
                  " values to choose from");
    if (p_.has_axis()) {
      top[0]->reshape(shape.with(axis, K));
    } else {
      std::vector<Index> dims(static_cast<std::size_t>(std::max<Index>(shape.axes(), 3)), 1);
      dims[0] = shape[0];
      dims[1] = p_.out_max_val() ? 2 : 1;
      dims[2] = K;
      top[0]->reshape(Shape(dims));
    }
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    const bool indices = !p_.has_axis() || !p_.out_max_val(), values = p_.out_max_val();
    const Index rows = indices && values ? 2 : 1, K = p_.top_k();
    parallel_for(ctx, {1, outer_, inner_},
                 [=, C = classes_, S = inner_] KERNEL(Index, Index o, Index s) {
      Index last = C;
      float last_value = HUGE_VALF;
      for (Index k = 0; k < K; ++k) {
        // The largest (value, index) below the last one found.
        Index best = -1;
        float best_value = 0;
        for (Index c = 0; c < C; ++c) {
          const float given = x[(o * C + c) * S + s], v = given == given ? given : -HUGE_VALF;
          const bool left = v < last_value || (v == last_value && c < last);
          if (left && (best < 0 || v >= best_value)) {
            best = c;
            best_value = v;
          }
        }
        float* out = y + (o * rows * K + k) * S + s;
        if (indices) *out = static_cast<float>(best);
        if (values) out[(rows - 1) * K * S] = best_value;
        last = best;
        last_value = best_value;
      }
    });
  }

 private:
  ArgMaxParameter p_;
  Index outer_ = 1, classes_ = 1, inner_ = 1;
};

DOPPIO_REGISTER_LAYER("ArgMax", ArgMax, .no_grad_bottoms = 0b1, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
