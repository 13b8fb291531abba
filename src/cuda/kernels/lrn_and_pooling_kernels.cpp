#include "cuda/kernels/lrn_and_pooling_kernels.hpp"

#include "core/bf16.hpp"
#include "cuda/kernels/divider.hpp"
#include "cuda/kernels/lrn_and_pooling_formulas.hpp"
#include "math/kernel.hpp"

namespace doppio::cuda {

namespace {

/// Calls f(n, c, h, w) for all strips of K channels from c on; adjacent threads access adjacent
/// memory.
template <int K, class F>
void for_each_strip(Context& ctx, const Maps& m, F f) {
  if (m.N * m.C * m.H * m.W == 0) return;
  const Index strips = (m.C + K - 1) / K, H = m.H;
  const auto divider = [](Index n) { return Divider(static_cast<std::uint32_t>(n)); };
  if (m.layout == Layout::nchw)
    parallel_for(ctx, {m.N * strips, H, m.W},
                 [=, by = divider(strips)] KERNEL(Index s, Index h, Index w) {
      const auto strip = static_cast<std::uint32_t>(s), n = by.quotient(strip);
      f(static_cast<int>(n), static_cast<int>(strip - n * by.divisor()) * K, static_cast<int>(h),
        static_cast<int>(w));
    });
  else
    parallel_for(ctx, {m.N * H, m.W, strips},
                 [=, by = divider(H)] KERNEL(Index r, Index w, Index strip) {
      const auto row = static_cast<std::uint32_t>(r), n = by.quotient(row);
      f(static_cast<int>(n), static_cast<int>(strip) * K, static_cast<int>(row - n * by.divisor()),
        static_cast<int>(w));
    });
}

/// Returns the dimensions of the pooled maps.
Maps pooled(const Maps& m, const MapWindows& windows) {
  return {m.N, m.C, windows.rows.windows, windows.cols.windows, m.layout};
}

template <class T, class Value>
void store(Context& ctx, const Maps& maps, Value value, T* to) {
  constexpr int kStrip = Value::kStrip;
  for_each_strip<kStrip>(ctx, maps,
                         [=, out = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float v[kStrip];
    value.strip(n, c, h, w, v);
    out.write(n, c, h, w, v);
  });
}

/// Computes the maximum of each window, the first of equal values. Compares values rounded to T.
template <class T, class Value>
void pool_max(Context& ctx, const Maps& maps, const MapWindows& windows, Value value, T* to,
              std::uint8_t* offsets) {
  constexpr int kStrip = Value::kStrip;
  const Maps small = pooled(maps, windows);
  for_each_strip<kStrip>(
      ctx, small,
      [=, rows = narrow(windows.rows), cols = narrow(windows.cols), y = View<T>(small, to),
       argmax = View<std::uint8_t>(small, offsets)] KERNEL(int n, int c, int oh, int ow) {
    const int h_begin = rows.begin(oh), w_begin = cols.begin(ow);
    const int h_end = rows.end(oh), w_end = cols.end(ow);
    float largest[kStrip] = {};
    int best[kStrip] = {};
    for (int h = h_begin; h < h_end; ++h)
      for (int w = w_begin; w < w_end; ++w) {
        const int offset = (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
        const bool first = h == h_begin && w == w_begin;
        float v[kStrip];
        value.strip(n, c, h, w, v);
        DOPPIO_UNROLL
        for (int i = 0; i < kStrip; ++i) {
          const float stored = T(v[i]);
          if (first || stored > largest[i]) {
            largest[i] = stored;
            best[i] = offset;
          }
        }
      }
    y.write(n, c, oh, ow, largest);
    argmax.write(n, c, oh, ow, best);
      });
}

template <class T, class Value>
void pool_mean(Context& ctx, const Maps& maps, const MapWindows& windows, Value value, T* to) {
  constexpr int kStrip = Value::kStrip;
  const Maps small = pooled(maps, windows);
  for_each_strip<kStrip>(ctx, small,
                         [=, rows = narrow(windows.rows), cols = narrow(windows.cols),
                          y = View<T>(small, to)] KERNEL(int n, int c, int oh, int ow) {
    float sums[kStrip] = {};
    for (int h = rows.begin(oh); h < rows.end(oh); ++h)
      for (int w = cols.begin(ow); w < cols.end(ow); ++w) {
        float v[kStrip];
        value.strip(n, c, h, w, v);
        DOPPIO_UNROLL
        for (int i = 0; i < kStrip; ++i) sums[i] += v[i];
      }
    const float area =
        static_cast<float>(rows.padded_length(oh)) * static_cast<float>(cols.padded_length(ow));
    DOPPIO_UNROLL
    for (int i = 0; i < kStrip; ++i) sums[i] = quotient(sums[i], area);
    y.write(n, c, oh, ow, sums);
  });
}

template <class T, class Value>
void pool_values(Context& ctx, const Maps& maps, const MapWindows& windows, Value value, T* y,
                 std::uint8_t* argmax) {
  if (windows.max)
    pool_max(ctx, maps, windows, value, y, argmax);
  else
    pool_mean(ctx, maps, windows, value, y);
}

/// dx = dy * s^-beta - cross_term * x * sum of dy * y / s over the neighbours.
template <class T, class Factors, class Gradient>
void backward(Context& ctx, const Maps& maps, float cross_term,
              const Normalized<T, Factors>& normalized, Gradient dy, T* to) {
  for_each_strip<1>(
      ctx, maps,
      [=, normal = normalized, dx = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float own = 0, sum = 0;
    for (int j = normal.first(c); j <= normal.last(c); ++j) {
      float d[1];
      dy.strip(n, j, h, w, d);
      const LrnFactors f = normal.at(n, j, h, w);
      const float scaled = d[0] * f.power;
      if (j == c) own = scaled;
      sum += scaled * normal.x(n, j, h, w) * f.inverse;
    }
    dx(n, c, h, w) = T(own - cross_term * normal.x(n, c, h, w) * sum);
      });
}

template <class T, class Factors, int R, class Gradient>
void backward(Context& ctx, const Maps& maps, float cross_term,
              const NormalizedBy<T, Factors, R>& normalized, Gradient dy, T* to) {
  constexpr int kStrip = kLongStrip;
  for_each_strip<kStrip>(
      ctx, maps,
      [=, normal = normalized, dx = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float v[kStrip + 4 * R], d[kStrip + 2 * R], ratios[kStrip + 2 * R];
    normal.x.read(n, c - 2 * R, h, w, v);
    dy.strip(n, c - R, h, w, d);
    DOPPIO_UNROLL
    for (int i = 0; i < kStrip + 2 * R; ++i) {
      const LrnFactors f = normal.at(v + i + R);
      d[i] *= f.power;
      ratios[i] = d[i] * v[i + R] * f.inverse;
    }
    float result[kStrip];
    DOPPIO_UNROLL
    for (int i = 0; i < kStrip; ++i) {
      float sum = 0;
      DOPPIO_UNROLL
      for (int j = i; j <= i + 2 * R; ++j) sum += ratios[j];
      result[i] = d[i + R] - cross_term * v[i + 2 * R] * sum;
    }
    dx.write(n, c, h, w, result);
      });
}

/// Calls run(normalized values) with the type of factors for beta. A local_size of 5, which nearly
/// all nets have, has its own code.
template <class T, class Run>
void with_normalized(const Maps& maps, const LrnFormula& f, const T* x, Run run) {
  with_factors(f.beta, [&](auto factors) {
    using Factors = decltype(factors);
    const View<const T> view(maps, x);
    if (f.reach == 2)
      run(NormalizedBy<T, Factors, 2>{view, f.k, f.alpha, factors});
    else
      run(Normalized<T, Factors>{view, narrow(f.reach), f.k, f.alpha, factors});
  });
}

/// Calls run(gradients of the windows).
template <class T, class Run>
void with_gradient(const Maps& maps, const MapWindows& windows, const T* dy,
                   const std::uint8_t* argmax, Run run) {
  const Maps small = pooled(maps, windows);
  if (windows.max)
    run(MaxPoolGradient<T>{View<const T>(small, dy), View<const std::uint8_t>(small, argmax),
                           narrow(windows.rows), narrow(windows.cols)});
  else
    run(AvgPoolGradient<T>{View<const T>(small, dy), narrow(windows.rows), narrow(windows.cols)});
}

template <class T>
Identity<T> identity(const Maps& maps, const T* values) {
  return {{maps, values}};
}

}  // namespace

template <class T>
void lrn_forward(Context& ctx, const Maps& maps, const LrnFormula& formula, const T* x, T* y) {
  with_normalized(maps, formula, x, [&](auto value) { store(ctx, maps, value, y); });
}

template <class T>
void lrn_backward(Context& ctx, const Maps& maps, const LrnFormula& formula, const T* x,
                  const T* dy, T* dx) {
  with_normalized(maps, formula, x, [&](auto normalized) {
    backward(ctx, maps, formula.cross_term(), normalized, identity(maps, dy), dx);
  });
}

template <class T>
void pool_forward(Context& ctx, const Maps& maps, const MapWindows& windows, const T* x, T* y,
                  std::uint8_t* argmax) {
  pool_values(ctx, maps, windows, identity(maps, x), y, argmax);
}

template <class T>
void pool_backward(Context& ctx, const Maps& maps, const MapWindows& windows, const T* dy,
                   const std::uint8_t* argmax, T* dx) {
  with_gradient(maps, windows, dy, argmax, [&](auto gradient) { store(ctx, maps, gradient, dx); });
}

template <class T>
void lrn_pool_forward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                      const MapWindows& windows, const T* x, T* y, std::uint8_t* argmax) {
  with_normalized(maps, formula, x,
                  [&](auto value) { pool_values(ctx, maps, windows, value, y, argmax); });
}

template <class T>
void lrn_pool_backward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                       const MapWindows& windows, const T* x, const T* dy,
                       const std::uint8_t* argmax, T* dx) {
  with_normalized(maps, formula, x, [&](auto normalized) {
    with_gradient(maps, windows, dy, argmax, [&](auto gradient) {
      backward(ctx, maps, formula.cross_term(), normalized, gradient, dx);
    });
  });
}

#define DOPPIO_INSTANTIATE(T)                                                                   \
  template void lrn_forward(Context&, const Maps&, const LrnFormula&, const T*, T*);            \
  template void lrn_backward(Context&, const Maps&, const LrnFormula&, const T*, const T*, T*); \
  template void pool_forward(Context&, const Maps&, const MapWindows&, const T*, T*,            \
                             std::uint8_t*);                                                    \
  template void pool_backward(Context&, const Maps&, const MapWindows&, const T*,               \
                              const std::uint8_t*, T*);                                         \
  template void lrn_pool_forward(Context&, const Maps&, const LrnFormula&, const MapWindows&,   \
                                 const T*, T*, std::uint8_t*);                                  \
  template void lrn_pool_backward(Context&, const Maps&, const LrnFormula&, const MapWindows&,  \
                                  const T*, const T*, const std::uint8_t*, T*);
DOPPIO_INSTANTIATE(float)
DOPPIO_INSTANTIATE(Bf16)
#undef DOPPIO_INSTANTIATE

}  // namespace doppio::cuda
