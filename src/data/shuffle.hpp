#pragma once
#include <numeric>
#include <utility>
#include <vector>

#include "core/at.hpp"
#include "math/philox.hpp"

namespace doppio {

/// Returns a random permutation of 0 .. n-1 from the draws `first_draw` .. `first_draw` + n - 1.
inline std::vector<Index> permutation(Index n, const Random& draws, Index first_draw = 0) {
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  for (Index i = n - 1; i > 0; --i)
    std::swap(at(order, i), at(order, draws.below(i + 1, first_draw + i)));
  return order;
}

}  // namespace doppio
