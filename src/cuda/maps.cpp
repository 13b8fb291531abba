#include <type_traits>

#include "core/bf16.hpp"
#include "cuda/divider.hpp"
#include "layers/engines/device_maps.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

// 64-bit numbers would take twice the registers, and an image has fewer than 2^31 values.

using Axis = PoolAxisOf<int>;

int narrow(Index n) { return static_cast<int>(n); }
Axis narrow(const PoolAxis& a) {
  return {narrow(a.size), narrow(a.windows), narrow(a.kernel), narrow(a.stride), narrow(a.pad)};
}

/// Where the values of maps lie, whatever their layout.
template <class T>
struct View {
  T* values;
  Index n_step;
  int c_step, h_step, w_step;

  View(const DeviceMaps& m, T* v) : values(v), n_step(m.C * m.H * m.W) {
    const bool last = m.layout != Layout::plain;
    c_step = narrow(last ? 1 : m.H * m.W);
    h_step = narrow(last ? m.W * m.C : m.W);
    w_step = narrow(last ? m.C : 1);
  }
  HOST_DEVICE T& operator()(int n, int c, int h, int w) const {
    return values[n * n_step + (c * c_step + h * h_step + w * w_step)];
  }
};

/// f(n, c, h, w) for all values; neighbouring threads take values that lie side by side.
template <class F>
void for_each_value(Context& ctx, const DeviceMaps& m, F f) {
  const Index C = m.C, H = m.H;
  if (m.N * C * H * m.W == 0) return;
  const auto divider = [](Index n) { return cuda::Divider(static_cast<std::uint32_t>(n)); };
  if (m.layout == Layout::plain)
    parallel_for(ctx, {m.N * C, H, m.W}, [=, by = divider(C)] KERNEL(Index p, Index h, Index w) {
      const auto plane = static_cast<std::uint32_t>(p), n = by.quotient(plane);
      f(static_cast<int>(n), static_cast<int>(plane - n * by.divisor()), static_cast<int>(h),
        static_cast<int>(w));
    });
  else
    parallel_for(ctx, {m.N * H, m.W, C}, [=, by = divider(H)] KERNEL(Index r, Index w, Index c) {
      const auto row = static_cast<std::uint32_t>(r), n = by.quotient(row);
      f(static_cast<int>(n), static_cast<int>(c), static_cast<int>(row - n * by.divisor()),
        static_cast<int>(w));
    });
}

/// The maps that pooling makes of `m`.
DeviceMaps pooled(const DeviceMaps& m, const DevicePool& pool) {
  return {m.N, m.C, pool.rows.windows, pool.cols.windows, m.layout};
}

// Values that are read as they lie, or computed on the way: value(n, c, h, w).

template <class T>
struct AsItLies {
  View<const T> x;
  HOST_DEVICE float operator()(int n, int c, int h, int w) const { return x(n, c, h, w); }
};

/// LRN's factors and what it makes of a value.
template <class T, class Factors>
struct Normalized {
  View<const T> x;
  int channels, reach;
  float k, alpha;
  Factors factors;

  HOST_DEVICE int first(int c) const { return c < reach ? 0 : c - reach; }
  HOST_DEVICE int last(int c) const { return c + reach < channels ? c + reach : channels - 1; }
  HOST_DEVICE LrnFactors at(int n, int c, int h, int w) const {
    float squares = 0;
    for (int j = first(c); j <= last(c); ++j) {
      const float value = x(n, j, h, w);
      squares += value * value;
    }
    return factors(k + alpha * squares);
  }
  HOST_DEVICE float operator()(int n, int c, int h, int w) const {
    return x(n, c, h, w) * at(n, c, h, w).power;
  }
};

// Gradients of those values, likewise.

/// a / b for b from 1 on, without what an exact division needs for denormal numbers: a call, before
/// which registers are spilled.
HOST_DEVICE inline float quotient(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fdividef(a, b);
#else
  return a / b;
#endif
}

/// What the windows that passed a pixel on send back to it.
template <class T>
struct ThroughMax {
  View<const T> dy;
  View<const std::uint8_t> picked;
  Axis rows, cols;

  HOST_DEVICE float operator()(int n, int c, int h, int w) const {
    float sum = 0;
    const int oh_last = rows.last_window(h), ow_last = cols.last_window(w);
    for (int oh = rows.first_window(h); oh <= oh_last; ++oh)
      for (int ow = cols.first_window(w); ow <= ow_last; ++ow) {
        const int place = (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
        if (picked(n, c, oh, ow) == place) sum += dy(n, c, oh, ow);
      }
    return sum;
  }
};

/// The shares of the windows that hold a pixel.
template <class T>
struct ThroughMean {
  View<const T> dy;
  Axis rows, cols;

  HOST_DEVICE float operator()(int n, int c, int h, int w) const {
    float sum = 0;
    const int oh_last = rows.last_window(h), ow_last = cols.last_window(w);
    for (int oh = rows.first_window(h); oh <= oh_last; ++oh)
      for (int ow = cols.first_window(w); ow <= ow_last; ++ow)
        sum += quotient(dy(n, c, oh, ow),
                        static_cast<float>(rows.padded_length(oh) * cols.padded_length(ow)));
    return sum;
  }
};

template <class T, class Value>
void store(Context& ctx, const DeviceMaps& maps, Value value, T* to) {
  for_each_value(ctx, maps, [=, out = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    out(n, c, h, w) = T(value(n, c, h, w));
  });
}

/// The largest values of the windows, the first of equal ones, as they are stored.
template <class T, class Value>
void pool_max(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, Value value, T* to,
              std::uint8_t* places) {
  const DeviceMaps small = pooled(maps, pool);
  for_each_value(ctx, small,
                 [=, rows = narrow(pool.rows), cols = narrow(pool.cols), y = View<T>(small, to),
                  picked = View<std::uint8_t>(small, places)] KERNEL(int n, int c, int oh, int ow) {
    const int h_begin = rows.begin(oh), w_begin = cols.begin(ow);
    const int h_end = rows.end(oh), w_end = cols.end(ow);
    int best_h = h_begin, best_w = w_begin;
    float largest = T(value(n, c, h_begin, w_begin));
    for (int h = h_begin; h < h_end; ++h)
      for (int w = w_begin; w < w_end; ++w) {
        const float v = T(value(n, c, h, w));
        if (v > largest) {
          largest = v;
          best_h = h;
          best_w = w;
        }
      }
    y(n, c, oh, ow) = T(largest);
    picked(n, c, oh, ow) = static_cast<std::uint8_t>((best_h - rows.start(oh)) * cols.kernel +
                                                     best_w - cols.start(ow));
  });
}

template <class T, class Value>
void pool_mean(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, Value value, T* to) {
  const DeviceMaps small = pooled(maps, pool);
  for_each_value(ctx, small,
                 [=, rows = narrow(pool.rows), cols = narrow(pool.cols),
                  y = View<T>(small, to)] KERNEL(int n, int c, int oh, int ow) {
    float sum = 0;
    for (int h = rows.begin(oh); h < rows.end(oh); ++h)
      for (int w = cols.begin(ow); w < cols.end(ow); ++w) sum += value(n, c, h, w);
    y(n, c, oh, ow) = T(sum / static_cast<float>(rows.padded_length(oh) * cols.padded_length(ow)));
  });
}

template <class T, class Value>
void pool_values(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, Value value, T* y,
                 std::uint8_t* picked) {
  if (pool.max)
    pool_max(ctx, maps, pool, value, y, picked);
  else
    pool_mean(ctx, maps, pool, value, y);
}

/// dx = dy * s^-beta - pull * x * sum of dy * y / s over the neighbours.
template <class T, class Factors, class Gradient>
void send_back(Context& ctx, const DeviceMaps& maps, float pull,
               const Normalized<T, Factors>& normalized, Gradient dy, T* to) {
  for_each_value(
      ctx, maps,
      [=, normal = normalized, dx = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float own = 0, pulls = 0;
    for (int j = normal.first(c); j <= normal.last(c); ++j) {
      const float d = dy(n, j, h, w);
      if (d == 0) continue;
      const LrnFactors f = normal.at(n, j, h, w);
      const float scaled = d * f.power;
      if (j == c) own = scaled;
      pulls += scaled * normal.x(n, j, h, w) * f.inverse;
    }
    dx(n, c, h, w) = T(own - pull * normal.x(n, c, h, w) * pulls);
      });
}

/// run(a function of LRN's values) for the type of factors that beta asks for.
template <class T, class Run>
void with_normalized(const DeviceMaps& maps, const LrnFormula& f, const T* x, Run run) {
  with_factors(f.beta, [&](auto factors) {
    run(Normalized<T, decltype(factors)>{View<const T>(maps, x), narrow(maps.C), narrow(f.reach),
                                         f.k, f.alpha, factors});
  });
}

/// run(a function of the gradients that windows send back).
template <class T, class Run>
void with_gradient(const DeviceMaps& maps, const DevicePool& pool, const T* dy,
                   const std::uint8_t* picked, Run run) {
  const DeviceMaps small = pooled(maps, pool);
  if (pool.max)
    run(ThroughMax<T>{View<const T>(small, dy), View<const std::uint8_t>(small, picked),
                      narrow(pool.rows), narrow(pool.cols)});
  else
    run(ThroughMean<T>{View<const T>(small, dy), narrow(pool.rows), narrow(pool.cols)});
}

/// run(pointers of the maps' type...).
template <class Run, class... Pointers>
void with_type(const DeviceMaps& maps, Run run, Pointers... pointers) {
  if (maps.layout == Layout::bf16)
    run(reinterpret_cast<
        std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointers>>, const Bf16*, Bf16*>>(
        pointers)...);
  else
    run(pointers...);
}

}  // namespace

void lrn_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula, const float* x_,
                   float* y_) {
  with_type(
      maps,
      [&](auto* x, auto* y) {
    with_normalized(maps, formula, x, [&](auto value) { store(ctx, maps, value, y); });
      },
      x_, y_);
}

void lrn_backward_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                            const float* x_, const float* dy_, float* dx_) {
  with_type(
      maps,
      [&](auto* x, auto* dy, auto* dx) {
    with_normalized(maps, formula, x, [&](auto normalized) {
      send_back(ctx, maps, formula.pull(), normalized,
                AsItLies<std::remove_pointer_t<decltype(dx)>>{{maps, dy}}, dx);
    });
      },
      x_, dy_, dx_);
}

void pool_on_device(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, const float* x_,
                    float* y_, std::uint8_t* picked) {
  with_type(
      maps,
      [&](auto* x, auto* y) {
    pool_values(ctx, maps, pool, AsItLies<std::remove_pointer_t<decltype(y)>>{{maps, x}}, y,
                picked);
      },
      x_, y_);
}

void pool_backward_on_device(Context& ctx, const DeviceMaps& maps, const DevicePool& pool,
                             const float* dy_, const std::uint8_t* picked, float* dx_) {
  with_type(
      maps,
      [&](auto* dy, auto* dx) {
    with_gradient(maps, pool, dy, picked, [&](auto gradient) { store(ctx, maps, gradient, dx); });
      },
      dy_, dx_);
}

void lrn_pool_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                        const DevicePool& pool, const float* x_, float* y_, std::uint8_t* picked) {
  with_type(
      maps,
      [&](auto* x, auto* y) {
    with_normalized(maps, formula, x,
                    [&](auto value) { pool_values(ctx, maps, pool, value, y, picked); });
      },
      x_, y_);
}

void lrn_pool_backward_on_device(Context& ctx, const DeviceMaps& maps, const LrnFormula& formula,
                                 const DevicePool& pool, const float* x_, const float* dy_,
                                 const std::uint8_t* picked, float* dx_) {
  with_type(
      maps,
      [&](auto* x, auto* dy, auto* dx) {
    with_normalized(maps, formula, x, [&](auto normalized) {
      with_gradient(maps, pool, dy, picked, [&](auto gradient) {
        send_back(ctx, maps, formula.pull(), normalized, gradient, dx);
      });
    });
      },
      x_, dy_, dx_);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
