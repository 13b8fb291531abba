#include "math/im2col.hpp"

#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// The window position that sees input position `in` through kernel element `k`; -1 if none does.
HOST_DEVICE inline Index position_of(const WindowAxis& a, Index in, Index k) {
  const Index start = in + a.pad - k * a.dilation;
  if (start < 0) return -1;
  if (a.stride == 1) return start < a.out ? start : -1;  // the usual case saves two divisions
  return start % a.stride == 0 && start / a.stride < a.out ? start / a.stride : -1;
}

void im2col_2d(Context& ctx, Index channels, WindowAxis h, WindowAxis w, const float* image,
               float* column) {
  const Index kernels = h.kernel * w.kernel;
  parallel_for(ctx, {channels * kernels, h.out, w.out}, [=] KERNEL(Index row, Index oh, Index ow) {
    const Index c = row / kernels, kh = row % kernels / w.kernel, kw = row % w.kernel;
    const Index ih = oh * h.stride - h.pad + kh * h.dilation;
    const Index iw = ow * w.stride - w.pad + kw * w.dilation;
    const bool inside = ih >= 0 && ih < h.in && iw >= 0 && iw < w.in;
    column[(row * h.out + oh) * w.out + ow] = inside ? image[(c * h.in + ih) * w.in + iw] : 0.0f;
  });
}

void col2im_2d(Context& ctx, Index channels, WindowAxis h, WindowAxis w, const float* column,
               float* image) {
  parallel_for(ctx, {channels, h.in, w.in}, [=] KERNEL(Index c, Index ih, Index iw) {
    float sum = 0;
    for (Index kh = 0; kh < h.kernel; ++kh) {
      const Index oh = position_of(h, ih, kh);
      if (oh < 0) continue;
      for (Index kw = 0; kw < w.kernel; ++kw) {
        const Index ow = position_of(w, iw, kw);
        if (ow < 0) continue;
        sum += column[(((c * h.kernel + kh) * w.kernel + kw) * h.out + oh) * w.out + ow];
      }
    }
    image[(c * h.in + ih) * w.in + iw] = sum;
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
    // From the last axis to the first, k and o lose the digits of the axes already handled.
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
        const Index position = position_of(a, in_rest % a.in, k_rest % a.kernel);
        hit = position >= 0;
        o += position * step;
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
