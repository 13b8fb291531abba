#include <type_traits>

#include "core/bf16.hpp"
#include "cuda/kernels/divider.hpp"
#include "cuda/kernels/map_values.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// f(n, c, h, w) for all strips of K channels, of which c is the first; neighbouring threads take
/// what lies side by side.
template <int K, class F>
void for_each_strip(Context& ctx, const DeviceMaps& m, F f) {
  if (m.N * m.C * m.H * m.W == 0) return;
  const Index strips = (m.C + K - 1) / K, H = m.H;
  const auto divider = [](Index n) { return cuda::Divider(static_cast<std::uint32_t>(n)); };
  if (m.layout == Layout::plain)
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

/// The maps that pooling makes of `m`.
DeviceMaps pooled(const DeviceMaps& m, const DevicePool& pool) {
  return {m.N, m.C, pool.rows.windows, pool.cols.windows, m.layout};
}

template <class T, class Value>
void store(Context& ctx, const DeviceMaps& maps, Value value, T* to) {
  constexpr int kStrip = Value::kStrip;
  for_each_strip<kStrip>(ctx, maps,
                         [=, out = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float v[kStrip];
    value.strip(n, c, h, w, v);
    out.write(n, c, h, w, v);
  });
}

/// The largest values of the windows, the first of equal ones, as they are stored.
template <class T, class Value>
void pool_max(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, Value value, T* to,
              std::uint8_t* places) {
  constexpr int kStrip = Value::kStrip;
  const DeviceMaps small = pooled(maps, pool);
  for_each_strip<kStrip>(
      ctx, small,
      [=, rows = narrow(pool.rows), cols = narrow(pool.cols), y = View<T>(small, to),
       picked = View<std::uint8_t>(small, places)] KERNEL(int n, int c, int oh, int ow) {
    const int h_begin = rows.begin(oh), w_begin = cols.begin(ow);
    const int h_end = rows.end(oh), w_end = cols.end(ow);
    float largest[kStrip] = {};
    int best[kStrip] = {};
    for (int h = h_begin; h < h_end; ++h)
      for (int w = w_begin; w < w_end; ++w) {
        const int place = (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
        const bool first = h == h_begin && w == w_begin;
        float v[kStrip];
        value.strip(n, c, h, w, v);
        DOPPIO_UNROLL
        for (int i = 0; i < kStrip; ++i) {
          const float stored = T(v[i]);
          if (first || stored > largest[i]) {
            largest[i] = stored;
            best[i] = place;
          }
        }
      }
    y.write(n, c, oh, ow, largest);
    picked.write(n, c, oh, ow, best);
      });
}

template <class T, class Value>
void pool_mean(Context& ctx, const DeviceMaps& maps, const DevicePool& pool, Value value, T* to) {
  constexpr int kStrip = Value::kStrip;
  const DeviceMaps small = pooled(maps, pool);
  for_each_strip<kStrip>(ctx, small,
                         [=, rows = narrow(pool.rows), cols = narrow(pool.cols),
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
  for_each_strip<1>(
      ctx, maps,
      [=, normal = normalized, dx = View<T>(maps, to)] KERNEL(int n, int c, int h, int w) {
    float own = 0, pulls = 0;
    for (int j = normal.first(c); j <= normal.last(c); ++j) {
      float d[1];
      dy.strip(n, j, h, w, d);
      const LrnFactors f = normal.at(n, j, h, w);
      const float scaled = d[0] * f.power;
      if (j == c) own = scaled;
      pulls += scaled * normal.x(n, j, h, w) * f.inverse;
    }
    dx(n, c, h, w) = T(own - pull * normal.x(n, c, h, w) * pulls);
      });
}

template <class T, class Factors, int R, class Gradient>
void send_back(Context& ctx, const DeviceMaps& maps, float pull,
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
      float pulls = 0;
      DOPPIO_UNROLL
      for (int j = i; j <= i + 2 * R; ++j) pulls += ratios[j];
      result[i] = d[i + R] - pull * v[i + 2 * R] * pulls;
    }
    dx.write(n, c, h, w, result);
      });
}

/// run(a function of LRN's values) for the type of factors that beta asks for; a local_size of 5,
/// which nearly all nets have, has code of its own.
template <class T, class Run>
void with_normalized(const DeviceMaps& maps, const LrnFormula& f, const T* x, Run run) {
  with_factors(f.beta, [&](auto factors) {
    using Factors = decltype(factors);
    const View<const T> view(maps, x);
    if (f.reach == 2)
      run(NormalizedBy<T, Factors, 2>{view, f.k, f.alpha, factors});
    else
      run(Normalized<T, Factors>{view, narrow(f.reach), f.k, f.alpha, factors});
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
