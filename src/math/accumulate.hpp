#pragma once
#include "doppio/tensor.hpp"

namespace doppio {

/// Destination of a gradient: values = beta * values + gradient.
struct AddTo {
  float* values = nullptr;
  /// 0 if `values` are undefined because the tensor is lazily zero, else 1.
  float beta = 1;
};

inline AddTo add_to(Tensor& gradient, const Context& ctx) {
  if (gradient.is_lazily_zero()) return {gradient.write(ctx), 0};
  return {gradient.update(ctx), 1};
}

}  // namespace doppio
