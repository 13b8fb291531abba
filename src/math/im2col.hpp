#pragma once
#include "core/host_device.hpp"
#include "doppio/context.hpp"

namespace doppio {

/// One spatial axis of a sliding window, in elements. `out` is the number of window positions.
struct WindowAxis {
  Index in = 1, kernel = 1, pad = 0, stride = 1, dilation = 1, out = 1;

  /// Distance from the first to one past the last element that a window covers.
  Index span() const { return dilation * (kernel - 1) + 1; }
  friend bool operator==(const WindowAxis&, const WindowAxis&) = default;
};

/// A window sliding over any number of spatial axes; without axes all counts are 1.
struct Windows {
  static constexpr Index kMaxAxes = Shape::kMaxAxes - 1;

  Index axes = 0;
  WindowAxis axis[kMaxAxes];

  Index in_count() const { return product(&WindowAxis::in); }
  Index out_count() const { return product(&WindowAxis::out); }
  Index kernel_count() const { return product(&WindowAxis::kernel); }
  /// True for 1x1 kernels without stride or padding, where the columns are the image itself.
  bool is_identity() const {
    for (Index i = 0; i < axes; ++i)
      if (axis[i].kernel != 1 || axis[i].stride != 1 || axis[i].pad != 0) return false;
    return true;
  }
  friend bool operator==(const Windows&, const Windows&) = default;

 private:
  Index product(Index WindowAxis::*size) const {
    Index n = 1;
    for (Index i = 0; i < axes; ++i) n *= axis[i].*size;
    return n;
  }
};

inline namespace DOPPIO_BUILD {

/// Copies every window of an image into a column: column[c, k, o] = image[c, element k of window
/// o], zero in the padding.
///
/// image is channels x in..., column is channels x kernel... x out....
/// Source: matches Caffe.
void im2col(Context& ctx, Index channels, const Windows& windows, const float* image,
            float* column);

/// The adjoint of im2col: image[c, i] = sum of the column elements that im2col copied from it.
/// Gathers, so the result does not depend on the number of threads.
void col2im(Context& ctx, Index channels, const Windows& windows, const float* column,
            float* image);

/// The general versions for any number of axes, used for 2 axes with force_nd_im2col.
void im2col_nd(Context& ctx, Index channels, const Windows& windows, const float* image,
               float* column);
void col2im_nd(Context& ctx, Index channels, const Windows& windows, const float* column,
               float* image);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
