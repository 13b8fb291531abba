#pragma once
// The inner loops of the image engine, compiled once per instruction set and called through a
// table. Includes no code: the linker must not use functions of these objects elsewhere.
#include <cstdint>

namespace doppio {

/// Rows of a convolution's output windows, for one or two blocks of outputs.
///
/// Tap k of window w in row r reads x[tap[k] + r * down + w * step]. Block b of that window is at
/// y[b * plane + (r * windows + w) * lanes], and its weights or their gradients at
/// weight[(k * blocks + b) * lanes].
struct ImageRows {
  const float* x;
  const std::int64_t* tap;
  std::int64_t taps, step, down;
  std::int64_t rows, windows, plane;
  int blocks;
};

/// The kernels for one width of vector registers.
struct ImageKernels {
  int lanes;  // floats in a register and outputs in a block
  /// y = bias + sum over taps of weight * x; `bias` holds the blocks or is null.
  void (*forward)(const ImageRows& rows, const float* weight, const float* bias, bool relu,
                  float* y);
  /// dweight += sum over windows of x * dy, and dbias += sum of dy unless that is null.
  void (*weights)(const ImageRows& rows, const float* dy, float* dweight, float* dbias);
};

extern const ImageKernels kImageAvx2, kImageAvx512;

}  // namespace doppio
