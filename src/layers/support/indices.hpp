#pragma once
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

/// Throws: Error that names `what` unless all values are in 0 .. n-1. Copies them to the host.
inline void require_indices(const Tensor& indices, Index n, const char* what) {
  const float* v = indices.read_host();
  for (Index i = 0; i < indices.count(); ++i)
    require(v[i] >= 0 && v[i] < static_cast<float>(n), what, " ", v[i], " in place ", i,
            " is out of range; it must be from 0 to ", n - 1);
}

/// Throws: Error unless there is one label for each of x's items along the first axis.
inline void require_label_per_item(const Shape& x, const Shape& labels) {
  require(x.axes() > 0 && labels.count() == x[0], "a bottom of ", x.text(), " needs ",
          x.dim_or_1(0), " labels, one per item, not ", labels.text());
}

}  // namespace doppio
