#pragma once
#include "core/host_device.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// sigma^2 d^2 / 2 for |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2): quadratic near 0, else
/// linear.
struct SmoothL1 {
  float sigma = 1;

  HOST_DEVICE float value(float d) const {
    const float size = d < 0 ? -d : d, square = sigma * sigma;
    return size * square < 1 ? 0.5f * square * d * d : size - 0.5f / square;
  }
  HOST_DEVICE float slope(float d) const {
    const float scaled = sigma * sigma * d;
    return scaled >= 1 ? 1 : scaled <= -1 ? -1 : scaled;
  }
};

}  // namespace DOPPIO_BUILD
}  // namespace doppio
