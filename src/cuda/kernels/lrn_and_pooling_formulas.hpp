#pragma once
// Inputs of the LRN and pooling kernels, read in strips of channels: stored values, normalized
// values and gradients of pooling.
#include "cuda/kernels/lrn_and_pooling_kernels.hpp"

namespace doppio::cuda {

// 64-bit indices would take twice the registers, and an image has fewer than 2^31 values.

using Axis = PoolAxisOf<int>;

inline int narrow(Index n) { return static_cast<int>(n); }
inline Axis narrow(const PoolAxis& a) {
  return {narrow(a.size), narrow(a.windows), narrow(a.kernel), narrow(a.stride), narrow(a.pad)};
}

// A thread computes a strip of channels of one pixel, which share the windows and the neighbours
// that LRN reads. Loops over a strip are unrolled, so that it stays in registers.
inline constexpr int kLongStrip = 8;

/// A strided view of maps in any layout.
template <class T>
struct View {
  T* values;
  Index n_step;
  int channels, c_step, h_step, w_step;

  View(const Maps& m, T* v) : values(v), n_step(m.C * m.H * m.W), channels(narrow(m.C)) {
    const bool last = m.layout == Layout::nhwc;
    c_step = narrow(last ? 1 : m.H * m.W);
    h_step = narrow(last ? m.W * m.C : m.W);
    w_step = narrow(last ? m.C : 1);
  }
  HOST_DEVICE bool holds(int c) const { return c >= 0 && c < channels; }
  HOST_DEVICE T* at(int n, int c, int h, int w) const {
    return values + (n * n_step + (c * c_step + h * h_step + w * w_step));
  }
  HOST_DEVICE T& operator()(int n, int c, int h, int w) const { return *at(n, c, h, w); }
  /// Reads a pixel's channels from `c` on; 0 for channels that do not exist.
  template <int K>
  HOST_DEVICE void read(int n, int c, int h, int w, float (&v)[K]) const {
    const T* const first = at(n, c, h, w);
    DOPPIO_UNROLL
    for (int i = 0; i < K; ++i) v[i] = holds(c + i) ? static_cast<float>(first[i * c_step]) : 0.0f;
  }
  template <int K, class Value>
  HOST_DEVICE void write(int n, int c, int h, int w, const Value (&v)[K]) const {
    T* const first = at(n, c, h, w);
    DOPPIO_UNROLL
    for (int i = 0; i < K; ++i)
      if (holds(c + i)) first[i * c_step] = T(v[i]);
  }
};

// Sources of values, stored or computed: strip(n, c, h, w, v) sets v to a pixel's channels from c
// on, and to 0 beyond the maps' channels. kStrip is the best length of v.

template <class T>
struct Identity {
  static constexpr int kStrip = kLongStrip;
  View<const T> x;

  template <int K>
  HOST_DEVICE void strip(int n, int c, int h, int w, float (&v)[K]) const {
    x.read(n, c, h, w, v);
  }
};

/// LRN's factors and normalized values.
template <class T, class Factors>
struct Normalized {
  static constexpr int kStrip = 1;
  View<const T> x;
  int reach;
  float k, alpha;
  Factors factors;

  HOST_DEVICE int first(int c) const { return c < reach ? 0 : c - reach; }
  HOST_DEVICE int last(int c) const { return c + reach < x.channels ? c + reach : x.channels - 1; }
  HOST_DEVICE LrnFactors at(int n, int c, int h, int w) const {
    float squares = 0;
    for (int j = first(c); j <= last(c); ++j) {
      const float value = x(n, j, h, w);
      squares += value * value;
    }
    return factors(k + alpha * squares);
  }
  template <int K>
  HOST_DEVICE void strip(int n, int c, int h, int w, float (&v)[K]) const {
    for (int i = 0; i < K; ++i)
      v[i] = x.holds(c + i) ? x(n, c + i, h, w) * at(n, c + i, h, w).power : 0.0f;
  }
};

/// As Normalized, for R neighbours on each side: all values of a strip are read once.
template <class T, class Factors, int R>
struct NormalizedBy {
  static constexpr int kStrip = kLongStrip;
  View<const T> x;
  float k, alpha;
  Factors factors;

  /// Returns the factors of *v, which has R neighbours on each side.
  HOST_DEVICE LrnFactors at(const float* v) const {
    float squares = 0;
    DOPPIO_UNROLL
    for (int j = -R; j <= R; ++j) squares += v[j] * v[j];
    return factors(k + alpha * squares);
  }
  template <int K>
  HOST_DEVICE void strip(int n, int c, int h, int w, float (&y)[K]) const {
    float v[K + 2 * R];
    x.read(n, c - R, h, w, v);
    DOPPIO_UNROLL
    for (int i = 0; i < K; ++i) y[i] = v[i + R] * at(v + i + R).power;
  }
};

// Sources of gradients, with the same interface.

/// a / b for b >= 1. Exact division calls a function for denormal numbers, which spills registers.
HOST_DEVICE inline float quotient(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fdividef(a, b);
#else
  return a / b;
#endif
}

/// Calls f(oh, ow) for the windows that contain a pixel.
template <class F>
HOST_DEVICE void for_each_window(const Axis& rows, const Axis& cols, int h, int w, F f) {
  const int oh_last = rows.last_window(h), ow_first = cols.first_window(w),
            ow_last = cols.last_window(w);
  for (int oh = rows.first_window(h); oh <= oh_last; ++oh)
    for (int ow = ow_first; ow <= ow_last; ++ow) f(oh, ow);
}

/// Sum of dy over the windows whose maximum is this pixel.
template <class T>
struct MaxPoolGradient {
  static constexpr int kStrip = kLongStrip;
  View<const T> dy;
  View<const std::uint8_t> argmax;
  Axis rows, cols;

  template <int K>
  HOST_DEVICE void strip(int n, int c, int h, int w, float (&d)[K]) const {
    DOPPIO_UNROLL
    for (int i = 0; i < K; ++i) d[i] = 0;
    for_each_window(rows, cols, h, w, [&](int oh, int ow) {
      const int offset = (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
      float v[K];
      dy.read(n, c, oh, ow, v);
      const std::uint8_t* const first = argmax.at(n, c, oh, ow);
      DOPPIO_UNROLL
      for (int i = 0; i < K; ++i)
        if (argmax.holds(c + i) && first[i * argmax.c_step] == offset) d[i] += v[i];
    });
  }
};

/// Sum of dy / area over the windows that contain a pixel.
template <class T>
struct AvgPoolGradient {
  static constexpr int kStrip = kLongStrip;
  View<const T> dy;
  Axis rows, cols;

  template <int K>
  HOST_DEVICE void strip(int n, int c, int h, int w, float (&d)[K]) const {
    DOPPIO_UNROLL
    for (int i = 0; i < K; ++i) d[i] = 0;
    for_each_window(rows, cols, h, w, [&](int oh, int ow) {
      float v[K];
      dy.read(n, c, oh, ow, v);
      const float area =
          static_cast<float>(rows.padded_length(oh)) * static_cast<float>(cols.padded_length(ow));
      DOPPIO_UNROLL
      for (int i = 0; i < K; ++i) d[i] += quotient(v[i], area);
    });
  }
};

}  // namespace doppio::cuda
