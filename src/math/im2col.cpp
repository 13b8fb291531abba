#include "math/im2col.hpp"

#include "math/kernel.hpp"
#include "math/strips.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

HOST_DEVICE inline Index clamp(Index x, Index low, Index high) {
  return x < low ? low : x > high ? high : x;
}

/// Smallest whole number n >= 0 with n * stride >= x.
HOST_DEVICE inline Index steps(Index x, Index stride) {
  if (x <= 0) return 0;
  return stride == 1 ? x : (x + stride - 1) / stride;  // the common case avoids a division
}

/// The window positions first .. last-1.
struct WindowRange {
  Index first, last;
};

/// Returns the windows whose element k is at one of the input positions begin .. end-1.
HOST_DEVICE inline WindowRange windows_with(const WindowAxis& a, Index k, Index begin, Index end) {
  const Index of_window_0 = k * a.dilation - a.pad;
  const Index last = clamp(steps(end - of_window_0, a.stride), 0, a.out);
  return {clamp(steps(begin - of_window_0, a.stride), 0, last), last};
}

/// Each call fills a strip of one row of the column matrix; a row covers the output map.
void im2col_2d(Context& ctx, Index channels, WindowAxis h, WindowAxis w, const float* image,
               float* column) {
  const Index kernels = h.kernel * w.kernel, outs = h.out * w.out;
  parallel_for(ctx, {channels, kernels, strips(outs)}, std::min(outs, kStrip),
               [=] KERNEL(Index c, Index k, Index strip) {
    const Index kh = k / w.kernel, kw = k % w.kernel;
    const WindowRange inside_h = windows_with(h, kh, 0, h.in),
                      inside_w = windows_with(w, kw, 0, w.in);
    Index left = strip_width(strip * kStrip, outs);
    Index oh = strip * kStrip / w.out, ow = strip * kStrip % w.out;
    for (; left > 0; ++oh, ow = 0) {
      const Index end = clamp(ow + left, 0, w.out);
      const bool padding = oh < inside_h.first || oh >= inside_h.last;
      const Index first = padding ? end : clamp(inside_w.first, ow, end);
      const Index last = padding ? end : clamp(inside_w.last, first, end);
      const Index ih = oh * h.stride - h.pad + kh * h.dilation;
      const Index from = (c * h.in + ih) * w.in - w.pad + kw * w.dilation;
      float* to = column + (c * kernels + k) * outs + oh * w.out;
      for (Index i = ow; i < first; ++i) to[i] = 0;
      if (w.stride == 1)
        for (Index i = first; i < last; ++i) to[i] = image[from + i];
      else
        for (Index i = first; i < last; ++i) to[i] = image[from + i * w.stride];
      for (Index i = last; i < end; ++i) to[i] = 0;
      left -= end - ow;
    }
  });
}

/// Each call gathers a strip of one row of the image.
void col2im_2d(Context& ctx, Index channels, WindowAxis h, WindowAxis w, const float* column,
               float* image) {
  parallel_for(ctx, {channels, h.in, strips(w.in)}, h.kernel * w.kernel * std::min(w.in, kStrip),
               [=] KERNEL(Index c, Index ih, Index strip) {
    float sum[kStrip] = {};
    const Index begin = strip * kStrip, width = strip_width(begin, w.in);
    for (Index kh = 0; kh < h.kernel; ++kh) {
      const WindowRange row = windows_with(h, kh, ih, ih + 1);  // one or none
      if (row.first == row.last) continue;
      for (Index kw = 0; kw < w.kernel; ++kw) {
        const WindowRange hit = windows_with(w, kw, begin, begin + width);
        const Index k = (c * h.kernel + kh) * w.kernel + kw;
        const float* from = column + (k * h.out + row.first) * w.out;
        const Index to = kw * w.dilation - w.pad - begin;
        if (w.stride == 1)
          for (Index ow = hit.first; ow < hit.last; ++ow) sum[to + ow] += from[ow];
        else
          for (Index ow = hit.first; ow < hit.last; ++ow) sum[to + ow * w.stride] += from[ow];
      }
    }
    for (Index i = 0; i < width; ++i) image[(c * h.in + ih) * w.in + begin + i] = sum[i];
  });
}

}  // namespace

void im2col_nd(Context& ctx, Index channels, const Windows& windows, const float* image,
               float* column) {
  const Index in_count = windows.in_count(), out_count = windows.out_count();
  const Index kernel_count = windows.kernel_count();
  parallel_for(ctx, {channels, kernel_count, out_count},
               [=, w = windows] KERNEL(Index c, Index k, Index o) {
    const Index to = (c * kernel_count + k) * out_count + o;
    // Decomposes k and o into indices per axis, from the last axis to the first.
    Index from = 0, step = 1;
    bool inside = true;
    for (Index i = w.axes - 1; i >= 0; --i) {
      const WindowAxis& a = w.axis[i];
      const Index in = o % a.out * a.stride - a.pad + k % a.kernel * a.dilation;
      inside = inside && in >= 0 && in < a.in;
      from += in * step;
      step *= a.in;
      o /= a.out;
      k /= a.kernel;
    }
    column[to] = inside ? image[c * in_count + from] : 0.0f;
  });
}

void col2im_nd(Context& ctx, Index channels, const Windows& windows, const float* column,
               float* image) {
  const Index in_count = windows.in_count(), out_count = windows.out_count();
  const Index kernel_count = windows.kernel_count();
  parallel_for(ctx, {1, channels, in_count}, [=, w = windows] KERNEL(Index, Index c, Index in) {
    float sum = 0;
    for (Index k = 0; k < kernel_count; ++k) {
      Index o = 0, step = 1, in_rest = in, k_rest = k;
      bool hit = true;
      for (Index i = w.axes - 1; i >= 0 && hit; --i) {
        const WindowAxis& a = w.axis[i];
        const WindowRange range =
            windows_with(a, k_rest % a.kernel, in_rest % a.in, in_rest % a.in + 1);
        hit = range.first < range.last;  // one or none
        o += range.first * step;
        step *= a.out;
        in_rest /= a.in;
        k_rest /= a.kernel;
      }
      if (hit) sum += column[(c * kernel_count + k) * out_count + o];
    }
    image[c * in_count + in] = sum;
  });
}

void im2col(Context& ctx, Index channels, const Windows& windows, const float* image,
            float* column) {
  if (windows.axes == 2)
    im2col_2d(ctx, channels, windows.axis[0], windows.axis[1], image, column);
  else
    im2col_nd(ctx, channels, windows, image, column);
}

void col2im(Context& ctx, Index channels, const Windows& windows, const float* column,
            float* image) {
  if (windows.axes == 2)
    col2im_2d(ctx, channels, windows.axis[0], windows.axis[1], column, image);
  else
    col2im_nd(ctx, channels, windows, column, image);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
