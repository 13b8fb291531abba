#pragma once
#include <cstddef>

#include "doppio/shape.hpp"

namespace doppio {

/// Element `i` of a vector, without a cast to its unsigned index type.
template <class Vector>
decltype(auto) at(Vector& vector, Index i) {
  return vector[static_cast<std::size_t>(i)];
}

}  // namespace doppio
