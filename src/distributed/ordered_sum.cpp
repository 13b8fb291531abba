#include "distributed/ordered_sum.hpp"

#include <algorithm>

#include "math/full_width.hpp"

namespace doppio {

void ordered_mean(std::span<const float* const> parts, Index n, float* to) {
  constexpr Index kBlock = 512;  // sums that stay in the first-level cache
  at_full_width([=] {
    double sums[kBlock];
    for (Index begin = 0; begin < n; begin += kBlock) {
      const Index count = std::min(kBlock, n - begin);
      for (Index i = 0; i < count; ++i) sums[i] = static_cast<double>(parts[0][begin + i]);
      for (std::size_t p = 1; p < parts.size(); ++p) {
        const float* const part = parts[p] + begin;
        for (Index i = 0; i < count; ++i) sums[i] += static_cast<double>(part[i]);
      }
      const double number = static_cast<double>(parts.size());
      for (Index i = 0; i < count; ++i) to[begin + i] = static_cast<float>(sums[i] / number);
    }
  });
}

}  // namespace doppio
