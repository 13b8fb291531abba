#pragma once
#include <limits>

#include "doppio/tensor.hpp"
#include "math/exp.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// A blob viewed around its class axis: outer x classes x inner values.
struct ClassAxis {
  Index outer = 0, classes = 0, inner = 0;

  ClassAxis() = default;
  ClassAxis(const Shape& shape, Index axis) {
    axis = shape.canonical(axis);
    outer = shape.count_before(axis);
    classes = shape[axis];
    inner = shape.count_from(axis + 1);
  }

  /// Returns the number of distributions over the classes.
  HOST_DEVICE Index items() const { return outer * inner; }
  /// Index of the value of `item` for class 0; the other classes follow with stride `inner`.
  HOST_DEVICE Index begin(Index item) const {
    return item / inner * classes * inner + item % inner;
  }
};

/// Calls f(item, at) for every value: `at` is its index, `item` its distribution.
template <class F>
void for_each_value(Context& ctx, const ClassAxis& axis, F f) {
  const Index classes = axis.classes, inner = axis.inner;
  if (inner == 1)  // then the classes are contiguous
    parallel_for(ctx, {1, axis.outer, classes},
                 [=] KERNEL(Index, Index o, Index c) { f(o, o * classes + c); });
  else
    parallel_for(ctx, {axis.outer, classes, inner}, [=] KERNEL(Index o, Index c, Index i) {
      f(o * inner + i, (o * classes + c) * inner + i);
    });
}

/// shift = the largest x of each item, total = the sum over its classes of e^(x - shift).
inline void sum_exponentials(Context& ctx, const ClassAxis& axis, const float* x, float* shift,
                             float* total) {
  reduce_rows(ctx, axis.items(), axis.classes, -std::numeric_limits<double>::infinity(), Max{},
              shift,
              [=, a = axis] KERNEL(Index item, Index c) { return x[a.begin(item) + c * a.inner]; });
  reduce_rows(ctx, axis.items(), axis.classes, 0, Sum{}, total,
              [=, a = axis] KERNEL(Index item, Index c) {
    return fast_exp(x[a.begin(item) + c * a.inner] - shift[item]);
  });
}

/// y = exp(x) / sum over classes of exp(x), after subtracting the largest x; x and y may be the
/// same memory. `scratch` holds one number per item.
inline void softmax(Context& ctx, const ClassAxis& axis, const float* x, float* y,
                    Tensor& scratch) {
  scratch.reshape({axis.items()});
  float* per_item = scratch.write(ctx);
  reduce_rows(ctx, axis.items(), axis.classes, -std::numeric_limits<double>::infinity(), Max{},
              per_item,
              [=, a = axis] KERNEL(Index item, Index c) { return x[a.begin(item) + c * a.inner]; });
  for_each_value(ctx, axis,
                 [=] KERNEL(Index item, Index at) { y[at] = fast_exp(x[at] - per_item[item]); });
  reduce_rows(ctx, axis.items(), axis.classes, 0, Sum{}, per_item,
              [=, a = axis] KERNEL(Index item, Index c) { return y[a.begin(item) + c * a.inner]; });
  for_each_value(ctx, axis, [=] KERNEL(Index item, Index at) { y[at] /= per_item[item]; });
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
